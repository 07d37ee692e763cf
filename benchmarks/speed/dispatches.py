"""How many operations a step makes torch dispatch: what small matrices pay for."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from benchmarks.speed.makers import Make, torch_optim
from benchmarks.speed.pairs import MUON, TORCH_MUON
from benchmarks.speed.sets import SETS, Shape, arrays

CASES: dict[str, list[Shape]] = {"many": SETS["many"], "128 × (64×64)": [(64, 64)] * 128}


def counted(make: Make, shapes: list[Shape]) -> Counter[str]:
    """Dispatched operations of the second step, by name."""
    from torch.utils._python_dispatch import TorchDispatchMode

    counts: Counter[str] = Counter()

    class Counting(TorchDispatchMode):
        """Notes every operation on its way."""

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            counts[str(func)] += 1
            return func(*args, **(kwargs or {}))

    side = make(shapes)
    for k in range(2):
        side.give(arrays(shapes, seed=k))
        if k:
            with Counting():
                side.step()
        else:
            side.step()
    return counts


def dispatches(tick: Callable[[], None]) -> list[dict[str, Any]]:
    """Operations a step on many small matrices, ours and torch.optim.Muon's."""
    rows = []
    for name, shapes in CASES.items():
        ours, theirs = (counted(make, shapes) for make in (TORCH_MUON, torch_optim("Muon", **MUON)))
        rows.append(
            {
                "case": name,
                "matrices": len(shapes),
                "ours": ours.total(),
                "theirs": theirs.total(),
                "ours_by_operation": dict(ours.most_common()),
                "theirs_by_operation": dict(theirs.most_common()),
            }
        )
    tick()
    return rows
