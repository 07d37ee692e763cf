"""Who is timed against whom, with which settings. The targets are in targets.json, the figures in the results."""

import json
import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.speed import peers, sides
from benchmarks.speed.makers import (
    BASES,
    DECAY,
    LR,
    Make,
    deva_in_dialect,
    numpy_ours,
    numpy_published,
    optax_adamw,
    optax_muon,
    our_jax_vector_half,
    our_vector_half,
    ours_jax,
    ours_torch,
    torch_optim,
    torch_side,
)

MATRICES = ("nano", "many", "tall")
BLOCKS = ("nano/6", "tall/4")


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One comparison.

    Args:
        name: for `--pair`. title: for tables.
        sets: keys of `sets.SETS`.
        ours, theirs: make the sides. our_settings, their_settings: in words.
        statistic: `"median"` of the ratio in each round, or `"mean"`, the ratio of the means (rules with refreshes).
        products: the dtype of the products, for the floor; None: no floor.
        needs: modules or checkouts without which the pair is skipped.
        devices: where the pair says something.
        rounds: a factor of the rounds asked for. cycle: rounded up to whole cycles of so many.
        warm_up: rounds that are not counted.
    """

    name: str
    title: str
    sets: tuple[str, ...]
    ours: Make
    theirs: Make
    our_settings: str
    their_settings: str
    statistic: str = "median"
    products: str | None = None
    needs: tuple[str, ...] = ()
    devices: tuple[str, ...] = ("cpu", "cuda")
    rounds: float = 1.0
    cycle: int = 1
    warm_up: int = 2

    def counted_rounds(self, asked: int) -> int:
        """At least two, in whole cycles."""
        return math.ceil(max(2, asked * self.rounds) / self.cycle) * self.cycle

    def skipped(self) -> str | None:
        """Why it cannot run here, or None."""
        if sides.DEVICE not in self.devices:
            return f"for {' and '.join(self.devices)} only"
        return next(filter(None, map(peers.missing, self.needs)), None)


MUON: dict[str, Any] = dict(lr=LR, weight_decay=DECAY)
HEAVYBALL: dict[str, Any] = dict(lr=LR, betas=(0.95, 0.95), weight_decay=DECAY)
TORCH_MUON = ours_torch("Muon", **MUON, compute_dtype="bfloat16")
TORCH_ADAGO = ours_torch("AdaGO", **MUON, compute_dtype="bfloat16")
OUR_DEVA = ours_torch("DeVA", **BASES, compute_dtype="bfloat16")
ADAMW = torch_optim("AdamW", lr=LR, weight_decay=DECAY, foreach=True)
OUR_MUON_WORDS = 'deva_torch.Muon, compute_dtype="bfloat16"'
OUR_DEVA_WORDS = 'deva_torch.DeVA, canonical basis (a sweep a refresh), relative eps, compute_dtype="bfloat16"'
IN_BF16: Any = dict(products="bfloat16")
REFRESHES: Any = dict(statistic="mean", warm_up=1, cycle=10, rounds=3.0)
"""The first step, which finds the first bases, is apart; of ten counted ones one refreshes, on both sides. A refresh is ten
steps long, and its noise the mean's: more rounds than elsewhere."""

PAIRS = (
    Pair(
        name="torch-muon",
        title="Muon, torch bfloat16 / torch.optim.Muon",
        sets=MATRICES,
        ours=TORCH_MUON,
        theirs=torch_optim("Muon", **MUON),
        our_settings=OUR_MUON_WORDS,
        their_settings="torch.optim.Muon, always bfloat16 products",
        **IN_BF16,
    ),
    Pair(
        name="torch-adago",
        title="AdaGO, torch bfloat16 / pytorch_optimizer AdaGO",
        sets=MATRICES,
        ours=TORCH_ADAGO,
        theirs=torch_side(partial(peers.kozistr, "AdaGO"), **MUON),
        our_settings='deva_torch.AdaGO, compute_dtype="bfloat16"',
        their_settings="pytorch_optimizer.AdaGO, foreach, bfloat16 products (its accumulator lacks a square root)",
        needs=("pytorch_optimizer",),
        **IN_BF16,
    ),
    Pair(
        name="torch-muon-pytorch-optimizer",
        title="Muon, torch bfloat16 / pytorch_optimizer Muon",
        sets=MATRICES,
        ours=TORCH_MUON,
        theirs=torch_side(partial(peers.kozistr, "Muon"), **MUON),
        our_settings=OUR_MUON_WORDS,
        their_settings="pytorch_optimizer.Muon, foreach, bfloat16 products",
        needs=("pytorch_optimizer",),
        rounds=0.5,
    ),
    Pair(
        name="torch-muon-heavyball",
        title="Muon, torch bfloat16 / HeavyBall Muon",
        sets=("nano",),
        ours=TORCH_MUON,
        theirs=torch_side(peers.heavyball_muon, **HEAVYBALL),
        our_settings=OUR_MUON_WORDS,
        their_settings="heavyball.Muon, compile_mode None",
        needs=("heavyball",),
        rounds=0.3,
    ),
    Pair(
        name="torch-muon-heavyball-compiled",
        title="Muon, torch bfloat16 / HeavyBall Muon, compiled",
        sets=("nano",),
        ours=TORCH_MUON,
        theirs=torch_side(peers.heavyball_muon, compile_mode=peers.HEAVYBALL_MODE, **HEAVYBALL),
        our_settings=OUR_MUON_WORDS + ", not compiled",
        their_settings=f"heavyball.Muon, compiled, {peers.HEAVYBALL_MODE} (its default)",
        needs=("heavyball",),
        rounds=0.3,
    ),
    Pair(
        name="torch-muon-gram",
        title="Muon, torch bfloat16 / gram-newton-schulz Muon",
        sets=("tall/4",),
        ours=TORCH_MUON,
        theirs=torch_side(peers.gram_muon, **MUON),
        our_settings=OUR_MUON_WORDS,
        their_settings="gram_newton_schulz.Muon, compiled as it is, no kernels (they need CUDA), its float16",
        needs=("gram_newton_schulz",),
        rounds=0.2,
        warm_up=1,
    ),
    Pair(
        name="jax-muon",
        title="Muon, JAX float32 / optax.contrib.muon",
        sets=MATRICES,
        ours=ours_jax("muon", learning_rate=LR, weight_decay=DECAY, compute_dtype="float32"),
        theirs=optax_muon,
        our_settings='deva_jax.muon, compute_dtype="float32", jitted with apply_updates, donated',
        their_settings="optax.contrib.muon, jitted with apply_updates, donated",
        products="float32",
        rounds=0.7,
    ),
    Pair(
        name="jax-muon-default",
        title="Muon, JAX, products as each chooses / optax.contrib.muon",
        sets=MATRICES,
        ours=ours_jax("muon", learning_rate=LR, weight_decay=DECAY),
        theirs=partial(optax_muon, precision=None),
        our_settings='deva_jax.muon, compute_dtype="auto" (bfloat16), jitted with apply_updates, donated',
        their_settings="optax.contrib.muon, JAX's default precision (TF32), jitted with apply_updates, donated",
        devices=("cuda",),
        rounds=0.7,
    ),
    Pair(
        name="deva",
        title="DeVA, torch bfloat16 / its authors' DeVASchattenNorm",
        sets=BLOCKS,
        ours=OUR_DEVA,
        theirs=torch_side(peers.deva_authors, **BASES),
        our_settings=OUR_DEVA_WORDS,
        their_settings="DeVASchattenNorm, their defaults: QR bases as SOAP's, bfloat16 Newton–Schulz",
        needs=("deva-authors",),
        **REFRESHES,
    ),
    Pair(
        name="deva-dialect",
        title="DeVA, the authors' dialect, torch bfloat16 / its authors' DeVASchattenNorm",
        sets=BLOCKS,
        ours=deva_in_dialect,
        theirs=torch_side(peers.deva_authors, **BASES),
        our_settings='RuleOptimizer(DeVA.dialect("authors")): published basis, timing, eps, compute_dtype="bfloat16"',
        their_settings="DeVASchattenNorm, their defaults: QR bases as SOAP's, bfloat16 Newton–Schulz",
        needs=("deva-authors",),
        **REFRESHES,
    ),
    Pair(
        name="deva-soap",
        title="DeVA, torch bfloat16 / its authors' SOAP",
        sets=BLOCKS[:1],
        ours=OUR_DEVA,
        theirs=torch_side(peers.soap_authors, **BASES),
        our_settings=OUR_DEVA_WORDS,
        their_settings="SOAP (another rule: no polar factor), the same bases and frequency",
        needs=("soap-authors",),
        **REFRESHES,
    ),
    Pair(
        name="deva-soap-pytorch-optimizer",
        title="DeVA, torch bfloat16 / pytorch_optimizer SOAP",
        sets=BLOCKS[:1],
        ours=OUR_DEVA,
        theirs=torch_side(peers.kozistr_soap, **BASES),
        our_settings=OUR_DEVA_WORDS,
        their_settings="pytorch_optimizer.SOAP (another rule: no polar factor), the same frequency",
        needs=("pytorch_optimizer",),
        **REFRESHES,
    ),
    Pair(
        name="torch-adamw",
        title="AdamW, torch / torch.optim.AdamW",
        sets=("vector",),
        ours=ours_torch("AdamW", lr=LR, weight_decay=DECAY),
        theirs=ADAMW,
        our_settings="deva_torch.AdamW",
        their_settings="torch.optim.AdamW(foreach=True)",
    ),
    Pair(
        name="torch-vector-half",
        title="AdamW inside Muon, torch / torch.optim.AdamW",
        sets=("vector",),
        ours=our_vector_half,
        theirs=ADAMW,
        our_settings="deva_torch.Muon, every parameter under its vector rule, AdamW",
        their_settings="torch.optim.AdamW(foreach=True)",
    ),
    Pair(
        name="jax-adamw",
        title="AdamW, JAX / optax.adamw",
        sets=("vector",),
        ours=ours_jax("adamw", learning_rate=LR, weight_decay=DECAY),
        theirs=optax_adamw,
        our_settings="deva_jax.adamw, jitted with apply_updates, donated",
        their_settings="optax.adamw, jitted with apply_updates, donated",
    ),
    Pair(
        name="jax-vector-half",
        title="AdamW inside Muon, JAX / optax.adamw",
        sets=("vector",),
        ours=our_jax_vector_half,
        theirs=optax_adamw,
        our_settings="deva_jax.muon, every leaf under its vector rule, AdamW",
        their_settings="optax.adamw, jitted with apply_updates, donated",
    ),
    Pair(
        name="numpy-muon",
        title="Muon, NumPy float32 / the published Muon in NumPy",
        sets=("nano",),
        ours=numpy_ours,
        theirs=numpy_published,
        our_settings="deva_numpy.Optimizer(Muon)",
        their_settings="benchmarks/speed/published_numpy.py, a transcription of github.com/KellerJordan/Muon",
        products="float32",
        devices=("cpu",),
        rounds=0.5,
    ),
)


def chosen(names: list[str] | None) -> list[Pair]:
    """The pairs of these names, or all."""
    known = {pair.name for pair in PAIRS}
    if unknown := set(names or ()) - known:
        raise ValueError(f"no pair is named {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
    return [pair for pair in PAIRS if not names or pair.name in names]


def targets() -> dict[str, dict[str, float]]:
    """The ratio that each pair should not exceed, by pair and set.

    `"compile many"` is of compilation on many; `"share nano"` the least share of the matmul rate on nano.
    """
    return json.loads((Path(__file__).parent / "targets.json").read_text(encoding="utf-8"))
