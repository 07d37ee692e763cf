"""What users of release 0.1.0 have: state dicts, portable files, and where their runs went on to.

`python -m tests.release_0_1_0 FOLDER`, in a checkout of that release, wrote tests/golden/release_0_1_0. Later releases only
read it. Five runs of eight steps, saved after the third, whose learning rate falls by a quarter at every step.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

import deva_torch
from deva_core import AdamW

FOLDER = Path(__file__).parent / "golden" / "release_0_1_0"
SHAPES = {"a.weight": (3, 4), "a.bias": (3,), "b.weight": (2, 3), "b.bias": (2,)}
KINDS = ("Muon", "AdaGO", "DeVA", "groups", "vectors")
SAVED, END = 4, 8


def array(shape: tuple[int, ...], t: int) -> torch.Tensor:
    """The parameter (t = 0) or a gradient: the same on every machine."""
    index = np.arange(int(np.prod(shape)), dtype=np.int64) + 100 * t + 1000 * len(shape)
    return torch.tensor(((index**3 * 7919 + index * 104729) % 61 - 30).reshape(shape) / 16.0)


def parameters() -> list[tuple[str, torch.nn.Parameter]]:
    return [(name, torch.nn.Parameter(array(shape, 0))) for name, shape in SHAPES.items()]


def optimizer(kind: str, named: list[tuple[str, torch.nn.Parameter]], **options: Any) -> Any:
    """Defaults; or an lr and a vector rule given, mixed groups; or a group of vectors with an lr in its dict."""
    if kind == "groups":
        groups = [{"params": named[:2]}, {"params": named[2:], "lr": 0.01}]
        return deva_torch.Muon(groups, lr=0.04, vector_rule=AdamW(lr=2e-3))
    if kind == "vectors":
        return deva_torch.DeVA([{"params": [named[0], named[2]]}, {"params": [named[1], named[3]], "lr": 0.3}])
    return getattr(deva_torch, kind)(named, **options)


def run(optimizer: Any, params: list[tuple[str, torch.nn.Parameter]], first: int, last: int) -> None:
    """Steps, the learning rate of every group falling."""
    for t in range(first, last):
        for group in optimizer.param_groups:
            group["lr"] *= 0.75
        for _, p in params:
            p.grad = array(p.shape, t)
        optimizer.step()


def main(folder: str) -> None:
    ends = {}
    for kind in KINDS:
        params = parameters()
        made = optimizer(kind, params)
        run(made, params, 1, SAVED)
        values = {name: p.detach().clone() for name, p in params}
        torch.save({"params": values, "optimizer": made.state_dict()}, f"{folder}/{kind}.pt")
        deva_torch.save(f"{folder}/{kind}.safetensors", made)
        run(made, params, SAVED, END)
        ends[kind] = {name: p.detach().tolist() for name, p in params}
    Path(folder, "ends.json").write_text(json.dumps(ends, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
