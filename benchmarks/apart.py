"""The picture on the first page: what one array and the same gradients come to in today's Muons, and in ours.

The walks are those of `make demo` (`examples/demo/peers.py`): one 64×256 array of float64, 20 standard normal gradients,
learning rate 0.02, momentum 0.95, Nesterov. Without --publish it prints the last row of each curve.

    python -m benchmarks.apart [--publish]
"""

import argparse
import json
import platform
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed.machine import cpuinfo, use_threads
from benchmarks.speed.plots import OURS as BLUE
from benchmarks.speed.plots import STYLE, THEIRS, plt

ROOT = Path(__file__).parent.parent
JSON, PICTURE = ROOT / "benchmarks" / "results" / "apart.json", ROOT / "docs" / "assets" / "apart.svg"
SEED, PACKAGES = 0, ("torch", "jax", "optax", "numpy")
ARRAY, LAYER = "torch.optim.Muon and optax.contrib.muon, the same array", "the same two, the same layer"
OURS = "deva_torch.Muon and deva_jax.muon, the same layer"
RUST = "#b3541e"
LOOKS = {
    "torch.optim.Muon": (THEIRS, 5.0, "-"),
    "optax.contrib.muon": (RUST, 2.0, "-"),
    "deva_torch": (BLUE, 2.0, "-"),
    "deva_jax": ("white", 1.0, ":"),
}
"""By walk: colour, width and dashes."""
Walks = dict[str, tuple[np.ndarray, np.ndarray]]
"""A torch and a JAX walk each, `(steps, out, in)`, from zero."""


def walks() -> Walks:
    """The pairs to be compared."""
    sys.path.insert(0, str(ROOT / "examples"))
    peers = import_module("demo.peers")
    W, gradients = peers.random_array(SEED, peers.GRADIENTS)
    torch, optax = peers.walk_torch(W, gradients), peers.optax_muon()
    found = {
        ARRAY: (torch, peers.walk_optax(W, gradients, optax)),
        LAYER: (torch, peers.in_own_layout(W, gradients, optax)),
        OURS: peers.our_walks(W, gradients),
    }
    return {name: (np.asarray(a) - W, np.asarray(b) - W) for name, (a, b) in found.items()}


def distances(a: np.ndarray, b: np.ndarray) -> list[float]:
    """After each step, between the two, relative to what the first walked."""
    flat = (len(a), -1)
    between, walked = (np.linalg.norm(x.reshape(flat), axis=1) for x in (a - b, a))
    return [float(f"{x:.3g}") for x in between / walked]


def in_a_plane(paths: list[np.ndarray]) -> list[list[list[float]]]:
    """Each path in the plane through the start and the ends of the first two, in units of the first one's length."""
    steps = [np.concatenate([np.zeros((1, path[0].size)), path.reshape(len(path), -1)]) for path in paths]
    first, other = steps[0][-1], steps[1][-1]
    x = first / np.linalg.norm(first)
    y = other - (other @ x) * x
    axes = np.stack([x, y / np.linalg.norm(y)], axis=1) / np.linalg.norm(first)
    return [[[round(float(v), 4) for v in row] for row in path @ axes] for path in steps]


def result() -> dict[str, Any]:
    """Curves and paths, and where they are from."""
    found = walks()
    (torch, optax), ours = found[ARRAY], found[OURS]
    paths = dict(zip(LOOKS, in_a_plane([torch, optax, *ours]), strict=True))
    return {
        "seed": SEED,
        "cpu": cpuinfo("model name") or platform.machine(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "distance over distance walked": {name: distances(*pair) for name, pair in found.items()},
        "paths": paths,
    }


def draw_walks(axes: Any, paths: dict[str, list[list[float]]]) -> None:
    """Seen in a plane; ours lie on torch's."""
    for name, rows in paths.items():
        colour, width, dashes = LOOKS[name]
        axes.plot(*np.transpose(rows), color=colour, linewidth=width, linestyle=dashes, solid_capstyle="round")
    note(axes, "optax.contrib.muon", paths["optax.contrib.muon"][-1], (0, 7), RUST, ha="right")
    note(
        axes,
        "torch.optim.Muon, and on it\ndeva in torch and in JAX",
        paths["torch.optim.Muon"][-1],
        (0, 6),
        BLUE,
        ha="right",
    )
    axes.set_title("Where 20 steps on the same array lead, seen in a plane", pad=10)
    axes.set_aspect("equal", anchor="W")
    axes.margins(0.03, 0.25)
    axes.axis("off")


def draw_distances(axes: Any, found: dict[str, list[float]]) -> None:
    """Each curve under its name and its last value."""
    for (name, values), colour in zip(found.items(), (RUST, THEIRS, BLUE), strict=True):
        axes.plot(range(1, len(values) + 1), values, color=colour, linewidth=1.8)
        note(axes, f"{name}: {values[-1]:.2g}", (len(values), values[-1]), (0, 6), colour, ha="right")
    axes.set_xticks([1, 5, 10, 15, 20])
    axes.set_yscale("log")
    axes.set_ylim(1e-16, 60)
    axes.grid(axis="y", color="#e3e5e8")
    axes.set_xlabel("step")
    axes.set_title("Between the walk in torch and that in JAX, over the distance walked")


def note(axes: Any, text: str, place: Any, offset: tuple[int, int], colour: str, **how: Any) -> None:
    axes.annotate(text, place, offset, textcoords="offset points", color=colour, fontsize=9, **how)


def draw(found: dict[str, Any], path: Path) -> None:
    """Both pictures, one above the other."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(2, 1, figsize=(6.2, 5.6), height_ratios=(1, 2))
        draw_walks(axes[0], found["paths"])
        draw_distances(axes[1], found["distance over distance walked"])
        figure.tight_layout()
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--publish", action="store_true", help="write docs/assets/apart.svg and its JSON")
    publish = parser.parse_args().publish
    use_threads(1)
    found = result()
    for name, values in found["distance over distance walked"].items():
        print(f"{name}: {values[-1]:.2g} of the distance walked")
    if publish:
        lines = [f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in found.items()]
        JSON.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
        draw(found, PICTURE)


if __name__ == "__main__":
    main()
