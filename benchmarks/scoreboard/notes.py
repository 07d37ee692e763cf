"""What was seen by hand of every law that is not kept: read in the peer's source before it was written."""

from dataclasses import dataclass

KINDS = {
    "defect": "the code does something else than its documentation says",
    "corner": "an input that few have, refused or treated less well than could be",
    "side effect": "the result is right, and something else is changed",
}
"""What a broken law may be, in the order of weight."""


@dataclass(frozen=True)
class Note:
    """`text`: what was measured, and what would keep the law. `upstream`: where it is known."""

    kind: str
    text: str
    upstream: str = ""


ROOT = Note(
    "defect",
    "The step is η c/v² where the paper (arXiv 2509.02981) has η c/v: it shortens as 1/t, not 1/√t, and is inversely "
    "proportional to the gradients. Everything else agrees: under the dialect that divides by v², the same oracle finds "
    "nothing. It is no other dialect: the docstring promises AdaGrad's step size, which has the root. `v.sqrt()` in the "
    "denominator would keep the law; [what it means for a run](dialects.md#the-missing-root-in-adago).",
)
GRADIENT = Note(
    "side effect",
    "With Nesterov's momentum the step writes the lookahead into `p.grad` (an in-place lerp). Who reads gradients only before "
    "the step never sees it; logging or accumulating afterwards does. torch does not forbid it. A lerp that is not in place "
    "would keep the law.",
)
EMPTY = Note(
    "corner",
    "A parameter of shape (3, 0) raises where the shape factor divides by the number of columns; no matrix with entries is "
    "concerned. Leaving parameters without entries alone would keep the law.",
)
NOTES = {
    ("torch/TorchMuon", "dtype-and-shape"): EMPTY,
    ("pytorch_optimizer-muon/TorchMuon", "dtype-and-shape"): EMPTY,
    ("pytorch_optimizer-muon/TorchMuon", "purity"): GRADIENT,
    ("pytorch_optimizer-adago/PaperAdaGO", "dtype-and-shape"): EMPTY,
    ("pytorch_optimizer-adago/PaperAdaGO", "purity"): GRADIENT,
    ("pytorch_optimizer-adago/PaperAdaGO", "oracle"): ROOT,
    ("pytorch_optimizer-adago/PaperAdaGO", "step-length"): ROOT,
    ("pytorch_optimizer-adago/KozistrAdaGO", "dtype-and-shape"): EMPTY,
    ("pytorch_optimizer-adago/KozistrAdaGO", "purity"): GRADIENT,
    ("timm/TimmMuon", "dtype-and-shape"): EMPTY,
    ("mlx/MlxMuon", "dtype-and-shape"): EMPTY,
    ("heavyball/HeavyballMuon", "dtype-and-shape"): Note(
        "corner",
        "A parameter of shape (3, 0) raises; no matrix with entries is concerned. Leaving parameters without entries alone "
        "would keep the law.",
    ),
    ("heavyball/HeavyballMuon", "oracle"): Note(
        "corner",
        "In float64 the learning rate becomes a float32 tensor: the warm-up computes `base_lr * step / …` from an integer "
        "tensor. So a step is off by 2e-8 of itself; with a learning rate that float32 holds, as 2⁻⁵, it is off by 4e-16. "
        "No harm in training. A Python number or a float64 tensor would keep the law.",
    ),
}
