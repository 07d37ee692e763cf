"""Faults that one law alone can see: what each law is for that has no other fault of its own."""

from typing import Any

import numpy as np

from deva_conformance.faults.arithmetic import as_class
from deva_conformance.faults.borders import present
from deva_conformance.faults.hooks import Arrays, Fault, each
from deva_core import AdaGO, DeVA, Muon, hyperparameters
from deva_core.basis import published_first
from deva_core.capabilities import Capabilities
from deva_core.linalg import transpose

LARGE = 4096
"""Entries from which on a gradient travels compressed."""


def compressed_if_large(G: np.ndarray) -> np.ndarray:
    """Large gradients in half precision, as a communication hook sends them: entry by entry, so that no order matters."""
    return G.astype(np.float16) if G.size >= LARGE else G


def tail_of_narrow_rows(G: np.ndarray) -> np.ndarray:
    """A kernel for bfloat16 that loads 32 columns at once, from 64 on, and leaves out the rest."""
    columns = G.shape[-1] if G.ndim else 0
    if G.dtype.name != "bfloat16" or columns <= 64:
        return G
    return G * (np.arange(columns) < columns // 32 * 32).astype(G.dtype)


class TinyUndecayed(Muon):
    """Entries below a threshold count as pruned, and are not decayed."""

    def update(self, G, S, W, t, b):
        """Masked decay."""
        return super().update(G, S, b.xp.where(b.xp.abs(W) < 1e-6, b.xp.zeros_like(W), W), t, b)


class StalledByEigh(DeVA):
    """Where power iteration stalls, because eigenvalues are tied, an old basis is computed anew by `eigh`."""

    def turned_if_due(self, S, t, b):
        """As it should be, and then, ten steps after the first, anew on sides that are tied."""
        new = super().turned_if_due(S, t, b)
        return self.anew(new, b) if t > 10 and (t - 1) % self.precondition_frequency == 0 else new

    def anew(self, S, b):
        """Both sides."""
        if tied(S.row_covariance):
            Q = published_first(S.row_covariance, b)
            S = S._replace(momentum=transpose(Q, b) @ S.row_basis @ S.momentum, row_basis=Q)
        if tied(S.column_covariance):
            Q = published_first(S.column_covariance, b)
            S = S._replace(momentum=S.momentum @ transpose(S.column_basis, b) @ Q, column_basis=Q)
        return S


def tied(C: np.ndarray) -> bool:
    """Whether all eigenvalues of a covariance are the same, to ten digits."""
    if C.shape[-1] < 2:
        return False
    values = np.linalg.eigvalsh(np.asarray(C, np.float64))
    return bool(np.all(values[..., -1] - values[..., 0] < 1e-10 * values[..., -1]))


class CheaperWhenLarge(Muon):
    """Fewer Newton–Schulz steps for matrices that cost more."""

    def update(self, G, S, W, t, b):
        """Two from 16 rows and columns on."""
        rule = self.with_values(ns_steps=2) if min(G.shape[-2:]) >= 16 else self
        return Muon.update(rule, G, S, W, t, b)


def fused_unread(grads: Arrays, run: Any) -> Arrays:
    """A lazy library fuses steps whose results nobody asks for: from the third on they round in another way."""
    run.memory["unread"] = run.memory.get("unread", 0) + 1
    if run.memory["unread"] < 3:
        return grads
    return {n: G * (1 + np.finfo(G.dtype).eps) for n, G in present(grads).items()}


def read(what: Any, run: Any) -> Any:
    """Someone asks."""
    run.memory["unread"] = 0
    return what


def unchecked(rule: Any) -> Any:
    """A front end that resolves schedules itself: their numbers arrive as arrays, which nothing looks into."""
    names = [n for n in hyperparameters(rule) if callable(getattr(rule, n))]
    return rule.with_values(**{n: as_array(getattr(rule, n)) for n in names})


def as_array(schedule: Any) -> Any:
    """A schedule that returns 0-d arrays."""
    return lambda count: np.asarray(schedule(count), np.float64)


FAULTS = {
    "compressed-large": Fault(
        about="large gradients travel in half precision", law="rotation", given=each(compressed_if_large)
    ),
    "narrow-tail": Fault(
        about="bfloat16 rows lose what does not fill a vector register",
        law="permutation",
        given=each(tail_of_narrow_rows),
        capabilities=Capabilities(dtypes=("float64", "float32", "bfloat16"), compiled=False),
    ),
    "tiny-undecayed": Fault(about="entries below 1e-6 not decayed", law="exact-decay", rule=as_class(TinyUndecayed)),
    "cheaper-when-large": Fault(
        about="fewer steps for larger matrices", law="singular-values", rule=as_class(CheaperWhenLarge)
    ),
    "stalled-eigh": Fault(
        about="old bases anew by eigh where eigenvalues are tied",
        law="well-posedness",
        on=DeVA,
        rule=as_class(StalledByEigh),
    ),
    "fused-unread": Fault(
        about="steps that nobody reads are fused, and round differently",
        law="determinism",
        given=fused_unread,
        params=read,
        state=read,
    ),
    "schedules-unchecked": Fault(
        about="what a schedule returns is not checked", law="bad-hyperparameters", on=AdaGO, rule=unchecked
    ),
}
