"""A run that goes on beside the same run from its file: on the stand-in as on a GPU, products round by memory order too."""

import tempfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from deva_core.parameter import fields


def lies_in_rows(x: Any) -> bool:
    """Whether a device array is C-contiguous."""
    return x._host.flags.c_contiguous


def goes_on_from_a_file(optimizer: Any, W: Mapping[str, Any], gradients: Sequence[Mapping[str, Any]]) -> None:
    """After every step the state lies in rows, and the next step from it is, to the bit, the one from its file."""
    from deva_cupy import load, save

    state = optimizer.init(W)
    with tempfile.TemporaryDirectory() as folder:
        for now, following in pairwise(gradients):
            W, state = optimizer.step(W, now, state)
            crooked = [name for name, x in arrays(state).items() if not lies_in_rows(x)]
            assert not crooked, f"{optimizer}: not C-contiguous: {', '.join(crooked)}"
            save(f"{folder}/state", optimizer, W, state)
            loaded = load(f"{folder}/state", optimizer, W)
            assert_same(optimizer.step(W, following, state), optimizer.step(W, following, loaded))


def arrays(state: Any) -> dict[str, Any]:
    """All arrays of a state by name."""
    return {f"{name}.{f}": x for name, slot in state.slots.items() for f, x in fields(slot.state).items()}


def assert_same(stayed: tuple[Any, Any], resumed: tuple[Any, Any]) -> None:
    """Fail unless two steps gave the same parameters and states, bit for bit."""
    ours, theirs = ({**W, **arrays(state)} for W, state in (stayed, resumed))
    differ = [name for name, x in ours.items() if not np.array_equal(x.get(), theirs[name].get())]
    assert not differ, f"a resumed run differs in {', '.join(differ)}"
