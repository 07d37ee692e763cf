"""Peers that are files of a checkout, or packages that may be missing."""

import hashlib
import importlib
import importlib.util
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

CHECKOUTS: dict[str, Path] = {}
"""Where `--deva-authors` and `--soap-authors` point: folders, never part of this repository."""

FILES = {"deva-authors": "optimizers/deva.py", "soap-authors": "soap.py"}
SOURCES = {
    "deva-authors": "https://github.com/Tsedao/Decoupled-Variance-Adaptation",
    "soap-authors": "https://github.com/nikhilvyas/SOAP",
}


def missing(need: str) -> str | None:
    """Why a peer cannot take part, or None."""
    if need in FILES:
        return missing_checkout(need)
    if importlib.util.find_spec(need) is None:
        return f"{need} is not installed"
    return None


def missing_checkout(need: str) -> str | None:
    """Why a checkout cannot be used, or None."""
    if need not in CHECKOUTS:
        return f"no --{need} PATH was given: a checkout of {SOURCES[need]}"
    if not (CHECKOUTS[need] / FILES[need]).is_file():
        return f"--{need} {CHECKOUTS[need]} has no {FILES[need]}"
    return None


def checkout(need: str) -> ModuleType:
    """The module of a checkout."""
    folder, module = str(CHECKOUTS[need].resolve()), FILES[need].removesuffix(".py").replace("/", ".")
    sys.path.insert(0, folder)
    try:
        return importlib.import_module(module)
    finally:
        sys.path.remove(folder)


def deva_authors(params: list[Any], **options: Any) -> Any:
    """The authors' DeVA over the spectral norm."""
    return checkout("deva-authors").DeVASchattenNorm(params, **options)


def soap_authors(params: list[Any], **options: Any) -> Any:
    """The authors' SOAP."""
    return checkout("soap-authors").SOAP(params, **options)


def kozistr(name: str, params: list[Any], **options: Any) -> Any:
    """A class of pytorch_optimizer whose groups carry `use_muon`."""
    return getattr(importlib.import_module("pytorch_optimizer"), name)([dict(params=params, use_muon=True)], **options)


def kozistr_soap(params: list[Any], **options: Any) -> Any:
    """pytorch_optimizer's SOAP."""
    return importlib.import_module("pytorch_optimizer").SOAP(params, **options)


HEAVYBALL_MODE = "max-autotune-no-cudagraphs"
"""HeavyBall's default. It is read at every step, from one place for all optimizers: a pair has it while it runs."""


def heavyball_muon(params: list[Any], compile_mode: str | None = None, **options: Any) -> Any:
    """HeavyBall's Muon, not compiled, or as it compiles itself in the first step."""
    heavyball: Any = importlib.import_module("heavyball")
    heavyball.utils.compile_mode = compile_mode
    return heavyball.Muon(params, **options)


def gram_muon(params: list[Any], **options: Any) -> Any:
    """Dao-AILab's Muon by Gram Newton–Schulz, without its kernels, which need CUDA; its float16 stays."""
    package: Any = importlib.import_module("gram_newton_schulz")
    return package.Muon(params, ns_use_kernels=False, gram_newton_schulz_restart_iterations=[2], **options)


PACKAGES = (
    "deva-optim",
    "torch",
    "jax",
    "jaxlib",
    "optax",
    "numpy",
    "pytorch_optimizer",
    "heavyball",
    "gram-newton-schulz",
    "emerging-optimizers",
)


def versions() -> dict[str, str]:
    """The versions of what is installed; of a checkout, the beginning of its file's SHA-256."""
    found = {"python": sys.version.split()[0]}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    for need in CHECKOUTS:
        if missing_checkout(need) is None:
            digest = hashlib.sha256((CHECKOUTS[need] / FILES[need]).read_bytes()).hexdigest()
            found[need] = f"{FILES[need]} {digest[:12]}"
    return found


NOT_TIMED = {
    "emerging-optimizers": "needs Python 3.12 or later; not installable where these figures are taken",
}
"""Peers without a pair, and why."""
