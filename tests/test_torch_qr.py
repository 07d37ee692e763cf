"""The orthogonal factor on a CPU: by Cholesky, by LAPACK and by panels it is the same one."""

from unittest import mock

import pytest

torch = pytest.importorskip("torch")

from deva_torch import _qr  # noqa: E402


def matrix(n, dtype, rank):
    g = torch.Generator().manual_seed(n)
    rows, columns = (torch.randn(n, rank, generator=g, dtype=torch.float64) for _ in range(2))
    return (rows @ columns.mT).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("n", "rank"), [(1, 1), (7, 7), (8, 8), (33, 33), (33, 5)])
def test_reflections_in_panels_are_those_of_lapack(n, rank, dtype):
    """Sides that are no multiple of the panel, and low rank, where weights are zero or of rounding."""
    reflectors, weights = torch.geqrf(matrix(n, dtype, rank))
    weights[n // 2] = 0
    close = dict(rtol=0, atol=20 * n * torch.finfo(dtype).eps)
    with mock.patch.object(_qr, "PANEL", 4):
        Q = _qr.accumulated(reflectors, weights)
    torch.testing.assert_close(Q, torch.linalg.householder_product(reflectors, weights), **close)


def test_a_large_matrix_goes_by_panels():
    """As orthogonal as by LAPACK, and the same."""
    A = matrix(_qr.WORTH_PANELS, torch.float32, _qr.WORTH_PANELS)
    with mock.patch.object(_qr, "accumulated", wraps=_qr.accumulated) as accumulated:
        Q = _qr.householder(A)
    assert accumulated.call_count == 1
    with mock.patch.object(_qr, "WORTH_PANELS", 10**9):
        P = _qr.householder(A)
    I = torch.eye(len(A))
    errors = [torch.linalg.matrix_norm(X.mT @ X - I).item() for X in (Q, P)]
    assert errors[0] <= 1.5 * errors[1]
    torch.testing.assert_close(Q, P, rtol=0, atol=1e-4)
