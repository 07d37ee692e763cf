"""The canonical basis descends at least as well as the published one."""

import numpy as np
import pytest

from benchmarks.trace_quadratic import RULES, SPECTRA, suboptimality


@pytest.mark.parametrize("kind", SPECTRA)
@pytest.mark.parametrize("lr", [0.1, 0.2])
def test_on_the_authors_trace_quadratic_over_20_seeds(kind, lr):
    """Geometric mean of the final suboptimality at equal lr, the same seeds and batches."""
    means = {
        basis: np.mean([np.log(suboptimality(RULES[f"DeVA, {basis} basis"], kind, seed, lr)) for seed in range(20)])
        for basis in ("canonical", "published")
    }
    assert means["canonical"] <= means["published"], {k: np.exp(v) for k, v in means.items()}
