"""Faults in saving and loading."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from deva_conformance.faults.hooks import Fault
from deva_core import AdaGO, AdamW, DeVA, DeVAVector
from deva_core.parameter import fields


def edited(inner: Any, edit: Callable[[str, dict], dict]) -> None:
    """Put other fields into the state of a run."""
    parameters = inner._optimizer.assignment(inner._params)
    slots = {}
    for n, s in inner._state.slots.items():
        slots[n] = s._replace(state=parameters[n].from_fields(edit(n, fields(s.state))))
    inner._state = inner._state._replace(slots=slots)


def through(f: Callable[[np.ndarray], np.ndarray]) -> Callable[[Any, Any], None]:
    """Loaded, and every field changed."""

    def load(path: Any, run: Any) -> None:
        run.inner.load(path)
        edited(run.inner, lambda n, old: {k: f(x).astype(x.dtype) for k, x in old.items()})

    return load


def load_without_steps(path: Any, run: Any) -> None:
    """Moments restored, counts not."""
    before = run.inner._state
    run.inner.load(path)
    new = run.inner._state
    run.inner._state = new._replace(
        slots={n: s._replace(step=before.slots[n].step) for n, s in new.slots.items()}, count=before.count
    )


def load_without(name: str) -> Callable[[Any, Any], None]:
    """One field stays what it was."""

    def load(path: Any, run: Any) -> None:
        before = {n: fields(s.state) for n, s in run.inner._state.slots.items()}
        run.inner.load(path)
        edited(run.inner, lambda n, new: {k: before[n][k] if k == name else x for k, x in new.items()})

    return load


def load_if_possible(path: Any, run: Any) -> None:
    """A file that cannot be read is ignored."""
    with suppress(Exception):
        run.inner.load(path)


def load_once(path: Any, run: Any) -> None:
    """Only a fresh run is loaded into."""
    if not any(s.step for s in run.inner._state.slots.values()):
        run.inner.load(path)
    else:
        Path(path).read_bytes()
        run.memory["loads"] = run.memory.get("loads", 0) + 1
        if run.memory["loads"] == 1:
            raise ValueError("not here")


def save_first(path: Any, run: Any) -> None:
    """The state of the beginning is saved."""
    now = run.inner._state
    run.inner._state = run.inner._optimizer.init(run.inner._params)
    run.inner.save(path)
    run.inner._state = now


FAULTS = {
    "load-nothing": Fault(about="stale state after load", law="save-load", loading=lambda path, run: None),
    "load-no-steps": Fault(about="counts not restored", law="save-load", on=AdamW, loading=load_without_steps),
    "load-no-accumulator": Fault(
        about="one field stale after load", law="save-load", on=AdaGO, loading=load_without("accumulator")
    ),
    "load-no-basis": Fault(about="bases stale after load", law="save-load", on=DeVA, loading=load_without("row_basis")),
    "load-anything": Fault(about="a corrupt file ignored", law="save-load", loading=load_if_possible),
    "load-once": Fault(about="only a fresh run loads", law="save-load", on=DeVAVector, loading=load_once),
    "load-rounded": Fault(
        about="state through float16", law="save-load", on=DeVA, loading=through(lambda x: x.astype(np.float16))
    ),
    "save-first": Fault(about="the initial state is saved", law="save-load", saving=save_first),
}
