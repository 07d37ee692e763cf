"""The published Muon in NumPy, as its author wrote it for torch: the peer of `deva_numpy`.

A transcription of <https://github.com/KellerJordan/Muon/blob/master/muon.py> (`zeropower_via_newtonschulz5`,
`muon_update` and `SingleDeviceMuon`, MIT, Keller Jordan 2024), line by line, in the parameters' own dtype: NumPy has no
bfloat16. As there, the momentum and the parameters are written in place; unlike there, gradients are not.
"""

import numpy as np


def zeropower_via_newtonschulz5(G: np.ndarray, steps: int) -> np.ndarray:
    """The published quintic iteration, for `(..., rows, columns)`."""
    a, b, c = (3.4445, -4.7750, 2.0315)
    X = G
    if G.shape[-2] > G.shape[-1]:
        X = X.mT
    X = X / (np.linalg.norm(X, axis=(-2, -1), keepdims=True) + 1e-7)
    for _ in range(steps):
        A = X @ X.mT
        B = b * A + c * A @ A
        X = a * X + B @ X
    return X.mT if G.shape[-2] > G.shape[-1] else X


def muon_update(
    grad: np.ndarray, momentum: np.ndarray, beta: float = 0.95, ns_steps: int = 5, nesterov: bool = True
) -> np.ndarray:
    """The published update of one matrix; `momentum` is written."""
    momentum += (1 - beta) * (grad - momentum)
    update = grad + beta * (momentum - grad) if nesterov else momentum
    update = zeropower_via_newtonschulz5(update, steps=ns_steps)
    return update * max(1, grad.shape[-2] / grad.shape[-1]) ** 0.5


class SingleDeviceMuon:
    """The published class over a list of arrays, which it writes."""

    def __init__(
        self, params: list[np.ndarray], lr: float = 0.02, weight_decay: float = 0.0, momentum: float = 0.95
    ) -> None:
        self.params, self.lr, self.weight_decay, self.momentum = params, lr, weight_decay, momentum
        self.buffers = [np.zeros_like(p) for p in params]

    def step(self, grads: list[np.ndarray]) -> None:
        """One step."""
        for p, grad, buffer in zip(self.params, grads, self.buffers, strict=True):
            update = muon_update(grad, buffer, beta=self.momentum)
            p *= 1 - self.lr * self.weight_decay
            p += -self.lr * update
