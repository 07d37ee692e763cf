"""Faults of fast kernels: right on small, well-conditioned matrices of ordinary size, wrong where fast paths begin."""

from dataclasses import replace
from typing import Any

import numpy as np

from deva_conformance.faults.hooks import Fault
from deva_conformance.faults.operations import bits, matmul, replacing, rounded_product
from deva_core import AdaGO, AdamW, Backend, DeVA, DeVAVector
from deva_core.costs import Costs

WARP, TILE, BLOCK = 32, 48, 1024


def swapped(X: Any) -> Any:
    """The last two axes exchanged."""
    return np.swapaxes(X, -1, -2)


def sign_of_a_warp(A: Any, b: Any) -> Any:
    """QR whose signs are fixed by one warp: the first 32 columns."""
    Q, R = np.linalg.qr(A)
    signs = np.where(np.diagonal(R, axis1=-2, axis2=-1) < 0, -1, 1).astype(A.dtype)
    signs[..., WARP:] = 1
    return Q * signs[..., None, :]


def honest_qr(A: Any) -> Any:
    """QR with a positive diagonal."""
    Q, R = np.linalg.qr(A)
    return Q * np.where(np.diagonal(R, axis1=-2, axis2=-1) < 0, -1, 1).astype(A.dtype)[..., None, :]


def null_columns_lost(A: Any, b: Any) -> Any:
    """QR that gives up on columns which depend on those before: zeros, as of a Gram–Schmidt with a threshold."""
    R = np.abs(np.diagonal(np.linalg.qr(A)[1], axis1=-2, axis2=-1))
    kept = 1e-5 * np.max(R, axis=-1, keepdims=True) < R
    return honest_qr(A) * kept.astype(A.dtype)[..., None, :]


def cholesky_qr(A: Any, b: Any) -> Any:
    """QR by Cholesky's factor of `AᵀA`, once: orthogonal only up to the square of the condition."""
    C = swapped(A) @ A
    n = C.shape[-1]
    shift = 10 * n * np.finfo(A.dtype).eps * np.trace(C, axis1=-2, axis2=-1)[..., None, None]
    L = np.linalg.cholesky(C + np.maximum(shift, np.finfo(A.dtype).tiny) * np.eye(n, dtype=A.dtype))
    return swapped(np.linalg.solve(L, swapped(A))).astype(A.dtype)


def half_at_the_end(A: Any, B: Any) -> Any:
    """Split along the inner dimension: what follows the first 48 is multiplied in half precision."""
    if A.shape[-1] <= TILE:
        return A @ B
    with np.errstate(all="ignore"):
        last = A[..., TILE:].astype(np.float16) @ B[..., TILE:, :].astype(np.float16)
    return A[..., :TILE] @ B[..., :TILE, :] + last.astype(A.dtype)


def in_half_range(A: Any, B: Any) -> Any:
    """Products of full precision that overflow where half precision does."""
    C = A @ B
    return np.where(np.abs(C) > 65504, np.inf * np.sign(C), C)


def flushed(A: Any, B: Any) -> Any:
    """Products below 2**-60 flushed to zero: subnormals are far below."""
    C = A @ B
    return np.where(np.abs(C) < 2.0**-60, 0, C)


def nan_to_zero(A: Any, B: Any) -> Any:
    """A masked load that takes NaN for padding."""
    return np.where(np.isnan(A), 0, A) @ np.where(np.isnan(B), 0, B)


def symmetric_when_square(A: Any, B: Any) -> Any:
    """A symmetric kernel for whatever product is square from 48 rows on: its lower half mirrors the upper."""
    C = A @ B
    if C.shape[-1] != C.shape[-2] or C.shape[-1] < TILE:
        return C
    return np.triu(C) + swapped(np.triu(C, 1))


def array_beta_in_half(average: Any, new: Any, beta: Any, b: Any) -> Any:
    """A weight given as an array passes through half precision, as kernel arguments may."""
    beta = float(np.float16(beta)) if isinstance(beta, np.ndarray) else beta
    return beta * average + (1 - beta) * new


def overwritten_gradient(average: Any, new: Any, beta: Any, b: Any) -> Any:
    """The average written where the new value was."""
    result = beta * average + (1 - beta) * new
    if isinstance(new, np.ndarray) and new.flags.writeable:
        new[...] = result
    return result


def decayed_by_zero(direction: Any, length: Any, W: Any, decay: Any, b: Any) -> Any:
    """Decay 0 multiplied instead of left out: a NaN in W spoils the step."""
    return -(length * direction + decay * W)


def low_block(beta: Any, C: Any, alpha: Any, A: Any, B: Any, b: Any) -> Any:
    """Square products from 48 rows on in eleven bits, as tensor cores have them."""
    square = A.shape == B.shape == C.shape and A.shape[-1] >= TILE
    return beta * C + alpha * (rounded_product(11)(A, B) if square else A @ B)


def rest_left_out(X: Any, b: Any) -> Any:
    """X Xᵀ in four equal panels of rows: what four does not divide is left out."""
    C = X @ swapped(X)
    kept = C.shape[-1] - C.shape[-1] % 4
    C[..., kept:, :] = C[..., :, kept:] = 0
    return C


def sum_in_one_half(beta: Any, R: Any, alpha: Any, A: Any, B: Any, b: Any) -> Any:
    """The half above the diagonal is copied before the sum."""
    with np.errstate(all="ignore"):
        AB = alpha * (A @ B)
        return np.tril(beta * R + AB) + np.triu(AB, 1)


def any_order(arrays: Any, b: Any) -> Any:
    """Parts of one stack are taken for the stack, in whatever order they come."""
    base: Any = arrays[0].base
    if base is None or base.shape != (len(arrays), *arrays[0].shape):
        return np.stack(arrays)
    return base if all(x.base is base for x in arrays) else np.stack(arrays)


def sign_of_half(x: Any, b: Any) -> Any:
    """Signs of what half precision rounds to zero are zero."""
    with np.errstate(over="ignore"):
        return np.sign(x.astype(np.float16)).astype(x.dtype)


def half_sum(X: Any, dtype: Any, b: Any) -> Any:
    """A norm whose sum of many squares is gathered in half precision."""
    X = X / np.where(np.any(X, axis=(-2, -1), keepdims=True), np.max(np.abs(X), axis=(-2, -1), keepdims=True), 1)
    size = np.sqrt(np.sum(X * X, axis=(-2, -1), keepdims=True))
    size = bits(size, 11) if X.shape[-2] * X.shape[-1] > BLOCK else size
    return (X / np.where(size == 0, 1, size)).astype(dtype)


def double_double(A: Any, B: Any) -> Any:
    """Float64 factors as two float32 pieces each: 48 bits."""
    return A @ B if A.dtype != np.float64 else bits(A, 48) @ bits(B, 48)


def forty_nine(A: Any, B: Any) -> Any:
    """Float64 factors of 49 bits, as an emulation by integer slices leaves them."""
    return A @ B if A.dtype != np.float64 else bits(A, 49) @ bits(B, 49)


def fifty_bit_ema(average: Any, new: Any, beta: Any, b: Any) -> Any:
    """A float64 average that keeps 50 bits."""
    result = beta * average + (1 - beta) * new
    return bits(result, 50) if result.dtype == np.float64 else result


def into_average(average: Any, new: Any, beta: Any, b: Any) -> Any:
    """In place: the average is donated."""
    if not isinstance(average, np.ndarray) or not average.flags.writeable:
        return beta * average + (1 - beta) * new
    average *= beta
    average += (1 - beta) * new
    return average


def gram_form(b: Backend) -> Backend:
    """Newton–Schulz on the Gram matrix, read anew as `deva_core.costs` says."""
    return replace(b, costs=Costs(form="gram"))


FAULTS = {
    "qr-warp": Fault(
        about="QR fixes signs of 32 columns", law="operations", on=DeVA, backend=replacing(positive_qr=sign_of_a_warp)
    ),
    "qr-null": Fault(
        about="QR loses dependent columns", law="operations", on=DeVA, backend=replacing(positive_qr=null_columns_lost)
    ),
    "cholesky-qr": Fault(
        about="QR by one Cholesky factor", law="operations", on=DeVA, backend=replacing(positive_qr=cholesky_qr)
    ),
    "split-half": Fault(about="the last of a long sum in half", law="operations", backend=matmul(half_at_the_end)),
    "half-range": Fault(about="products overflow at 65504", law="operations", backend=matmul(in_half_range)),
    "flushed-products": Fault(about="products flushed at 2**-60", law="operations", on=AdaGO, backend=matmul(flushed)),
    "nan-padding": Fault(about="NaN multiplied as zero", law="operations", on=AdaGO, backend=matmul(nan_to_zero)),
    "symmetric-tile": Fault(
        about="square products taken for symmetric", law="operations", backend=matmul(symmetric_when_square)
    ),
    "array-beta": Fault(
        about="β as an array in half precision",
        law="operations",
        on=DeVAVector,
        backend=replacing(ema=array_beta_in_half),
    ),
    "ema-into-new": Fault(
        about="an average written over the gradient",
        law="operations",
        on=AdamW,
        backend=replacing(ema=overwritten_gradient),
    ),
    "zero-decay": Fault(about="decay 0 reads W", law="operations", backend=replacing(descent=decayed_by_zero)),
    "tile-tf32": Fault(
        about="large square products of 11 bits", law="operations", backend=replacing(multiply_add=low_block)
    ),
    "gram-rest": Fault(
        about="X Xᵀ without the last rows", law="operations", on=AdaGO, backend=replacing(gram=rest_left_out)
    ),
    "half-copied-early": Fault(
        about="a sum in one half only", law="operations", backend=replacing(symmetric_multiply_add=sum_in_one_half)
    ),
    "stack-any-order": Fault(
        about="a stack in another order", law="operations", on=AdamW, backend=replacing(donated_stack=any_order)
    ),
    "sign-half": Fault(
        about="signs of small numbers lost", law="operations", on=DeVA, backend=replacing(sign=sign_of_half)
    ),
    "half-sum": Fault(about="norms of many in half", law="operations", on=AdaGO, backend=replacing(unit=half_sum)),
    "forty-nine-bits": Fault(about="float64 products of 49 bits", law="enclosure", on=DeVA, backend=matmul(forty_nine)),
    "double-float": Fault(about="float64 as two float32", law="enclosure", backend=matmul(double_double)),
    "fifty-bit-ema": Fault(
        about="float64 averages of 50 bits", law="enclosure", on=DeVAVector, backend=replacing(ema=fifty_bit_ema)
    ),
}

VARIANTS = {
    "gram-form": Fault(about="Newton–Schulz on the Gram matrix", law="", backend=gram_form),
    "ema-in-place": Fault(about="the donated average reused", law="", on=DeVA, backend=replacing(ema=into_average)),
}
