"""Statistics of a list of seconds, and of two lists measured in the same rounds."""

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np

RESAMPLES = 2000
COVERAGE = 0.95


def summary(seconds: list[float]) -> dict[str, Any]:
    """Median, mean and range, beside the raw values.

    Example:
        >>> summary([3.0, 1.0, 2.0])["median"]
        2.0
    """
    return {
        "median": statistics.median(seconds),
        "mean": statistics.fmean(seconds),
        "min": min(seconds),
        "max": max(seconds),
        "seconds": seconds,
    }


def median_of_ratios(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """The median over rounds (the last axis) of the ratio within each round."""
    return np.median(ours / theirs, axis=-1)


def ratio_of_means(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """The ratio of the means over rounds: for rules whose rounds differ, such as those with refreshes."""
    return ours.mean(axis=-1) / theirs.mean(axis=-1)


STATISTICS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "median": median_of_ratios,
    "mean": ratio_of_means,
}


def ratio(ours: list[float], theirs: list[float], statistic: str = "median", seed: int = 0) -> dict[str, Any]:
    """ours / theirs with a 95 % percentile interval: rounds are resampled in pairs, so that shared noise cancels.

    Example:
        >>> ratio([1.0, 2.0, 4.0], [2.0, 4.0, 8.0])["value"]
        0.5
    """
    a, b = np.array(ours), np.array(theirs)
    drawn = np.random.default_rng(seed).integers(0, len(a), size=(RESAMPLES, len(a)))
    samples = STATISTICS[statistic](a[drawn], b[drawn])
    low, high = np.quantile(samples, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    value = float(STATISTICS[statistic](a, b))
    return {"statistic": statistic, "value": value, "low": float(low), "high": float(high)}
