"""Moving averages, as weighted sums."""

import numpy as np


def moved(old: np.ndarray, new: np.ndarray, beta: float) -> np.ndarray:
    """An average one observation on. (`old + (1 - beta) (new - old)` would lose a small `new` beside a large `old`.)"""
    return np.einsum("k,k...->...", np.array([beta, 1 - beta]), np.stack([old, new]))


def gathered(beta: float, t: int) -> float:
    """The weight of an average after t steps: the sum `(1 - beta) (1 + beta + … + beta**(t - 1))`."""
    return (1 - beta) * sum(beta**k for k in range(t))
