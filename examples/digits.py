"""One optimizer, three frameworks, the same numbers: scikit-learn's digits with Muon, AdaGO and DeVA.

`python examples/digits.py` trains one small network in NumPy, PyTorch and JAX, from the same weights on the same batches,
measures how far apart the frameworks end, and beside it how far apart `torch.optim.Muon` and `optax.contrib.muon` do. It
prints tables and writes `demo.html` and `demo.json` into `--out`. Exit status 1: float64 runs parted by more than 1e-8.
"""

import argparse
import importlib
import json
import os
import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

from demo import compare, numpy_net, page, tables
from demo.data import BATCH, LAYERS
from demo.progress import Progress
from demo.recipes import BIASES, RECIPES
from demo.training import Problem
from rich.console import Console
from threadpoolctl import threadpool_limits

FRAMEWORKS = {"numpy": "NumPy", "torch": "PyTorch", "jax": "JAX"}
LIMIT, JUDGED_STEPS = 1e-8, 220
"""How far float64 runs may part in the first steps, relative to the distance walked.

Much later, with the loss all but zero, the problem itself multiplies every difference: see the float32 panel.
"""

BACKWARD_LIMIT = 1e-8
"""How wrong the hand-written backward pass may be, relative to the gradient. Finite differences are good to 1e-11."""


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, help="training steps")
    length.add_argument("--epochs", type=int, default=10, help="passes over the training images (default: 10)")
    parser.add_argument("--dtype", choices=["float64", "float32"], default="float64")
    parser.add_argument("--rules", nargs="+", choices=list(RECIPES), default=list(RECIPES), metavar="RULE")
    parser.add_argument("--frameworks", nargs="+", choices=list(FRAMEWORKS), default=list(FRAMEWORKS), metavar="NAME")
    parser.add_argument("--seed", type=int, default=0, help="of the split, the weights and the batches (default: 0)")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for demo.html and demo.json")
    args = parser.parse_args(argv)
    for name, least in {"steps": 1, "epochs": 1, "seed": 0}.items():
        value = getattr(args, name)
        if value is not None and value < least:
            parser.error(f"--{name} must be at least {least}, got {value}")
    args.rules, args.frameworks = list(dict.fromkeys(args.rules)), list(dict.fromkeys(args.frameworks))
    args.given = sys.argv[1:] if argv is None else argv
    return args


def load_frameworks(names: list[str], progress: Progress) -> tuple[dict[str, ModuleType], dict[str, str]]:
    """The networks whose framework is installed, and for the others what is missing."""
    found, missing = {}, {}
    for name in names:
        with progress.task(f"loading {FRAMEWORKS[name]}") as tick:
            try:
                found[name] = importlib.import_module(f"demo.{name}_net")
            except ModuleNotFoundError as error:
                missing[name] = f"not installed: {error.name}"
                tick(missing[name])
    return found, missing


def check_backward(seed: int, progress: Progress) -> float:
    """Measure the hand-written backward pass against finite differences; stop the program if it is wrong."""
    with progress.task("check of NumPy's backward pass") as tick:
        error = numpy_net.backward_error(seed)
        tick(f"within {error:.1e} of finite differences")
    if error > BACKWARD_LIMIT:
        sys.exit(f"the NumPy backward pass is wrong: {error:.1e} of the gradient from finite differences")
    return error


def one_thread_each() -> None:
    """One thread for every framework: these matrices gain nothing from more, and times are comparable."""
    threadpool_limits(1)
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def circumstances(args: argparse.Namespace, steps: int) -> dict[str, Any]:
    """What a reader needs to repeat the run."""
    packages = ("deva-optim", "numpy", "torch", "jax", "optax", "scikit-learn")
    return {
        "command": " ".join(["python examples/digits.py", *args.given]),
        "seed": args.seed,
        "dtype": args.dtype,
        "steps": steps,
        "batch": BATCH,
        "layers": LAYERS,
        "recipes": RECIPES,
        "biases": BIASES,
        "versions": {"python": platform.python_version(), **{name: installed(name) for name in packages}},
        "machine": {"cpus": os.cpu_count(), "processor": platform.machine(), "system": platform.system()},
        "threads_per_framework": 1,
    }


def todays(nets: dict[str, ModuleType], problem: Problem, seed: int, progress: Progress) -> dict[str, Any]:
    """torch.optim.Muon beside optax.contrib.muon, or why not."""
    if not {"torch", "jax"} <= nets.keys():
        return {"missing": "needs PyTorch and JAX"}
    try:
        return importlib.import_module("demo.peers").compare(problem, seed, progress)
    except AttributeError as error:  # PyTorch before 2.9, optax before 0.2.5
        return {"missing": str(error)}


def verdict(result: dict[str, Any]) -> dict[str, Any]:
    """Whether float64 runs stayed together. float32 runs are not judged."""
    curves = [entry["curve"][:JUDGED_STEPS] for entry in result["agreement"].values()]
    worst = max((x for curve in curves for x in curve), default=None)
    judged = result["dtype"] == "float64" and worst is not None
    return {
        "limit": LIMIT,
        "judged_steps": min(JUDGED_STEPS, result["steps"]),
        "worst": worst,
        "judged": judged,
        "holds": bool(worst <= LIMIT) if judged else None,
    }


def run(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    """All measurements, as one record."""
    began, per_epoch = time.perf_counter(), Problem.of(args.seed, 1).images // BATCH
    steps = args.steps or args.epochs * per_epoch
    problem, result = Problem.of(args.seed, steps, args.dtype), circumstances(args, steps)
    with Progress(console) as progress:
        result["backward_error"] = check_backward(args.seed, progress)
        nets, result["missing"] = load_frameworks(args.frameworks, progress)
        if not nets:
            sys.exit("none of these frameworks is installed: " + ", ".join(args.frameworks))
        result |= compare.compare_rules(args.rules, nets, problem, progress)
        panel = "Muon" if "Muon" in args.rules else args.rules[0]
        result["float32"] = compare.float32_panel(panel, nets, args.seed, 4 * steps, progress)
        result["today"] = todays(nets, problem, args.seed, progress)
    return result | {"verdict": verdict(result), "seconds": time.perf_counter() - began}


def main(argv: list[str] | None = None) -> int:
    args, console = arguments(argv), Console()
    one_thread_each()
    result = run(args, console)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "demo.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    (args.out / "demo.html").write_text(page.html(result), encoding="utf-8")
    tables.show(result, console)
    tables.show_end(result, args.out / "demo.html", console)
    return 1 if result["verdict"]["holds"] is False else 0


if __name__ == "__main__":
    sys.exit(main())
