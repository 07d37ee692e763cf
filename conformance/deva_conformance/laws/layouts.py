"""A parameter with a layout moves as the separate matrices that the layout says it is.

A convolution's kernel in another order of axes moves as its `(out, in kh kw)` matrix, and each block of a fused
projection as a parameter of its own; to rounding, over the whole run, side by side in one. Domain: matrix rules; shape
factors and norms belong to the logical matrix, whatever the axes.
"""

import numpy as np

from deva_conformance.cases import Case
from deva_conformance.driver import Subject
from deva_conformance.laws._law import Domain, module_law
from deva_conformance.laws._steps import Arrays, ask_for, need, twins, walk
from deva_conformance.tolerance import run_spread, unit_roundoff
from deva_core import Layout

Q = 2
"""Rows of the first block."""


def kernel(X: np.ndarray) -> np.ndarray:
    """`(out, in kh kw)` as `(kh, kw, in, out)`, with two rows and one column to a kernel."""
    out, columns = X.shape
    return np.ascontiguousarray(X.reshape(out, columns // 2, 2, 1).transpose(2, 3, 1, 0))


def matrix(K: np.ndarray) -> np.ndarray:
    """The inverse of `kernel`."""
    return K.transpose(3, 2, 0, 1).reshape(K.shape[-1], -1)


def views(X: np.ndarray) -> Arrays:
    """A matrix as it is, as a kernel, as a fused block, and as the parameters that the block consists of."""
    return {"matrix": X, "kernel": kernel(X), "fused": X.copy(), "q": X[:Q].copy(), "k": X[Q:].copy()}


def check(subject: Subject, case: Case) -> float:
    """Run all views of the first problem at once."""
    p = case.problems[0]
    W, grads = p.weights(), [p.gradient(k) for k in range(case.steps)]
    layout = {"kernel": "kh kw in out", "fused": Layout("(q k) in", q=Q, k=len(W) - Q)}
    options = ask_for(subject, layout=layout)
    end = walk(subject, case.rule, views(W), [views(G) for G in grads], **options).params
    for name in ("kernel", "fused"):
        need(end[name].shape == views(W)[name].shape, f"{name} has the shape {end[name].shape}")
    pairs = {
        "a kernel and its matrix": (matrix(end["kernel"]), end["matrix"], slice(None)),
        "the first block and a parameter": (end["fused"][:Q], end["q"], slice(Q)),
        "the second block and a parameter": (end["fused"][Q:], end["k"], slice(Q, None)),
    }
    worst, u = 0.0, unit_roundoff(W.dtype)
    for label, (X, Y, rows) in pairs.items():
        sigma = run_spread(case.rule, W[rows], [G[rows] for G in grads], u, subject.costs)["W"]
        worst = max(worst, twins(label, X, Y, sigma, W.dtype, case.steps))
    return worst


LAW = module_law(
    "layouts",
    check,
    __doc__,
    domain=Domain(
        applies=lambda rule: rule.matrix,
        restricted=lambda rule: {"basis": ("canonical",)},
        matrix_panels=(((5, 4),), ((6, 4),)),
        steps=2,
    ),
)
