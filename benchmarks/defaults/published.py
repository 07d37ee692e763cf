"""What other projects give matrices and the rest, as steps of an entry, so that shape factors do not stand in between.

Read from the newest sources that could be had; `at` is the day of the last commit in them.
"""

from typing import NamedTuple

from benchmarks.defaults.sides import RULES
from benchmarks.papers.report import Rows

WIDTH = 768
"""Of GPT-2's smallest, which nanochat and modded-nanogpt are tuned at; the matrices are square."""

ORIGINAL, RMS = WIDTH**-0.5, 0.2
"""The root mean square of a step's entries over `lr`: Jordan's scale on square matrices, and Moonlight's."""


class Project(NamedTuple):
    """Learning rates in one file."""

    name: str
    file: str
    at: str
    matrices: float
    entry: float
    """Root mean square of a step's entries, over `matrices`."""
    others: dict[str, float]


PROJECTS = (
    Project("nanochat", "karpathy/nanochat: scripts/base_train.py, the options' defaults; nanochat/gpt.py", "2026-07-03",
            0.02, ORIGINAL, {"head": 0.008, "embeddings": 0.3, "residual scalars": 0.005, "input scalars": 0.5}),
    Project("modded-nanogpt", "KellerJordan/modded-nanogpt: train_gpt.py, `param_table`, `adam_defaults`, `normuon_defaults`",
            "2026-08-01", 0.023, ORIGINAL,
            {"head and embedding": 0.008, "scalars": 0.04, "value embeddings": 0.6}),
    Project("Moonlight", "MoonshotAI/Moonlight: examples/toy_train.py, `Muon`", "2025-08-02",
            1e-3, RMS, {"embedding, head, norms": 1e-3}),
    Project("optax", "google-deepmind/optax: examples/contrib/muon.ipynb; optax/contrib/_muon.py, where "
            "`adam_learning_rate` is `learning_rate` unless given", "2026-08-07",
            1e-3, ORIGINAL, {"everything else": 1e-3}),
    Project("optax, `consistent_rms=0.2`", "the same", "2026-08-07", 1e-3, RMS, {"everything else": 1e-3}),
)  # fmt: skip
OURS = {"Muon": ORIGINAL, "AdaGO": ORIGINAL, "DeVA": RMS}
"""AdaGO's is that of its first step, which is its longest."""

HEAD = ["who", "lr of matrices", "an entry's step", "lr of the others", "over the matrices' entry step", "read in"]


def row(project: Project) -> list[str]:
    """One project."""
    step = project.matrices * project.entry
    others = "; ".join(f"{name} {lr:g}" for name, lr in project.others.items())
    over = "; ".join(f"{name} {lr / step:.3g}" for name, lr in project.others.items())
    return [project.name, f"{project.matrices:g}", f"{step:.2g}", others, over, f"{project.file} ({project.at})"]


def rows(defaults: dict[str, dict[str, float]]) -> Rows:
    """Ours first.

    Args:
        defaults: for each rule the learning rates of `matrices` and `others`.
    """
    lines = []
    for name in RULES:
        lr = defaults[name]
        lines.append(row(Project(f"ours, {name}", "", "", lr["matrices"], OURS[name], {"all others": lr["others"]})))
        lines[-1][-1] = "this package"
    return lines + [row(project) for project in PROJECTS]
