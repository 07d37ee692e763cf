"""Products and sums of products, entry by entry: a term more rounds once more, and operands stay as they were."""

import numpy as np

from deva_conformance.laws._operation_bench import Bench, entrywise, extended, product, square, transposed
from deva_conformance.laws._operation_entries import BETAS
from deva_conformance.laws._steps import need
from deva_conformance.physical import wide
from deva_core import basis, linalg


def matmul(bench: Bench) -> float:
    """`A B` and, with an operand that lies transposed in memory, `A Aᵀ`; NaN stays in its row."""
    A, B, k = bench.X, transposed(bench.draw(1)).copy(), bench.X.shape[-1]
    unit = bench.u * np.sqrt(k)
    size = product(np.abs(A), np.abs(B))
    worst = entrywise("A B", bench.call(lambda A, B, b: b.matmul(A, B), A, B), product(A, B), unit * size)
    size = product(np.abs(A), np.abs(transposed(A)))
    found = bench.call(lambda A, b: b.matmul(A, linalg.transpose(A, b)), A)
    worst = max(worst, entrywise("A Aᵀ", found, product(A, transposed(A)), unit * size))
    spoiled = A.copy()
    spoiled[..., 0, 0] = np.nan
    lost = np.isnan(bench.call(lambda A, B, b: b.matmul(A, B), spoiled, B))
    need(
        bool(np.all(lost[..., 0, :]) and not np.any(lost[..., 1:, :])),
        "NaN in a row of A is not NaN in that row of A B",
    )
    return worst


def multiply_add(bench: Bench) -> float:
    """`beta C + alpha A B`, the operands unchanged."""
    A, B = bench.X, transposed(bench.draw(1)).copy()
    C = bench.draw(2, (*A.shape[:-1], B.shape[-1]))
    expected = 2.0315 * extended(C) - 4.775 * product(A, B)
    size = 2.0315 * np.abs(extended(C)) + 4.775 * product(np.abs(A), np.abs(B))
    found = bench.call(lambda C, A, B, b: linalg.multiply_add(2.0315, C, -4.775, A, B, b), C, A, B)
    worst = entrywise("beta C + alpha A B", found, expected, bench.u * np.sqrt(A.shape[-1] + 1) * size)
    kept = bench.call(lambda C, A, B, b: (linalg.multiply_add(2.0315, C, -4.775, A, B, b), C)[1], C, A, B)
    need(bool(np.all(kept == C)), "beta C + alpha A B overwrites C")
    return worst


def symmetric_multiply_add(bench: Bench) -> float:
    """`beta R + alpha A A` of a symmetric A and of a multiple of it, the operands unchanged."""
    A = square(bench.X)
    A = A + transposed(A)
    R = 2 * A
    expected = -4.775 * extended(R) + 2.0315 * product(A, A)
    size = 4.775 * np.abs(extended(R)) + 2.0315 * product(np.abs(A), np.abs(A))
    found = bench.call(lambda R, A, b: linalg.symmetric_multiply_add(-4.775, R, 2.0315, A, A, b), R, A)
    worst = entrywise("beta R + alpha A A", found, expected, bench.u * np.sqrt(A.shape[-1] + 1) * size)
    kept = bench.call(lambda R, A, b: (linalg.symmetric_multiply_add(2.0, R, 1.0, A, A, b), R + A)[1], R, A)
    need(bool(np.all(kept == R + A)), "beta R + alpha A A overwrites R or A")
    return worst


def gram(bench: Bench) -> float:
    """`X Xᵀ`, X kept."""
    X = bench.X
    size = bench.u * np.sqrt(X.shape[-1]) * product(np.abs(X), np.abs(transposed(X)))
    worst = entrywise("X Xᵀ", bench.call(linalg.gram, X), product(X, transposed(X)), size)
    kept = bench.call(lambda X, b: (linalg.gram(X, b), X)[1], X)
    need(bool(np.all(kept == X)), "X Xᵀ overwrites X")
    return worst


def outer_ema(bench: Bench) -> float:
    """`beta C + (1 - beta) G Gᵀ`, G kept."""
    G, worst = bench.X, 0.0
    C = (2 * wide(bench.draw(1)) @ wide(transposed(bench.draw(2)))).astype(bench.dtype)
    outer, size = product(G, transposed(G)), product(np.abs(G), np.abs(transposed(G)))
    for beta in BETAS:
        rest = 1 - extended(beta)
        expected = beta * extended(C) + rest * outer
        unit = bench.u * np.sqrt(G.shape[-1] + 1) * (beta * np.abs(extended(C)) + rest * size)
        found = bench.call(lambda C, G, b, beta=beta: basis.outer_ema(C, G, beta, b), C, G)
        worst = max(worst, entrywise(f"an average with G Gᵀ at beta {beta:g}", found, expected, unit))
    kept = bench.call(lambda C, G, b: (basis.outer_ema(C, G, 0.5, b), G)[1], C, G)
    need(bool(np.all(kept == G)), "an average with G Gᵀ overwrites G")
    return worst
