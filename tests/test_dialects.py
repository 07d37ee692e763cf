"""A dialect is a public implementation: goldens recorded from it, and the live peer where it installs."""

import json
from pathlib import Path

import numpy as np
import pytest

from deva_core import AdaGO, DeVA, DeVAVector, Muon

GOLDEN = Path(__file__).parent / "golden"
MATRIX = dict(lr=1e-2, weight_decay=0.1)
DEVA = dict(MATRIX, beta1=0.95, beta2=0.95, precondition_frequency=5)
RECORDED = {
    "deva_linf": DeVAVector.dialect("authors", **MATRIX),
    "deva_sinf": DeVA.dialect("authors", **DEVA),
    "deva_sinf_sign": DeVA.dialect("authors-sign", **DEVA),
    "deva_sinf_instant": DeVA.dialect("authors-instant", **DEVA),
    "deva_sinf_factored": DeVA.dialect("authors-factored", **DEVA),
    "muon_authors": Muon.dialect("deva-authors", nesterov=True, momentum=0.95, **MATRIX),
}


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_trajectories_are_met_to_1e_9_of_the_distance_walked(name, start):
    """In float64, every parameter after every call."""
    golden = np.load(GOLDEN / f"{name}.npz")
    parameters = sorted({key.partition(".")[0] for key in golden if key.startswith("p")})
    run = start(RECORDED[name], {p: golden[f"{p}.0"] for p in parameters})
    steps = max(int(key.partition(".")[2]) for key in golden)
    walked = dict.fromkeys(parameters, 0.0)
    for t in range(1, steps + 1):
        run.step({p: golden[p.replace("p", "g") + f".{t}"] for p in parameters})
        for p, W in run.params.items():
            walked[p] += float(np.linalg.norm(golden[f"{p}.{t}"] - golden[f"{p}.{t - 1}"]))
            assert np.linalg.norm(W - golden[f"{p}.{t}"]) <= 1e-9 * walked[p] or walked[p] == 0, f"{p}, call {t}"


SMALL = {
    "AdaGO paper, SVD, lr .05 mu .95 gamma 3 eps 5e-4 v0^2 1e-6": AdaGO.dialect("paper", max_norm=3.0),
    "AdaGO paper, NS5 fp64 (norm+1e-7), same": AdaGO(max_norm=3.0, ns_normalization="add"),
    "AdaGO kozistr 4.1 (v not rooted), NS5 clamp, lr .05 gamma 3 eps 5e-4 v 1e-6 wd 0": AdaGO.dialect(
        "pytorch-optimizer", max_norm=3.0
    ),
    "Muon KJ, NS5, lr .02 wd .1": Muon.dialect("keller", weight_decay=0.1),
    "Muon match_rms_adamw (torch), lr .02 wd .1": Muon.dialect("torch", lr=0.02, scale="rms"),
    "DeVA Euclid code lr .02 betas (.9,.999)": DeVAVector.dialect("authors"),
    "DeVA Schatten code, SVD instead of msign, defaults": DeVA.dialect("authors", ns_coefficients="exact"),
    "optax muon, lr .02 wd .1": Muon.dialect("optax", weight_decay=0.1),
}


@pytest.mark.parametrize("key", SMALL)
def test_published_4x3_values_are_met_to_1e_8(key, start):
    """Eight digits were published."""
    expected = np.asarray(json.loads((GOLDEN / "small.json").read_text())[key]).reshape(4, 3)
    k = np.arange(12.0)
    W = 0.1 * np.sin(k + 1).reshape(4, 3)
    gradients = [t * np.sin((k + 1) ** 2 * (0.3 + 0.1 * t)).reshape(4, 3) for t in (1, 2, 3)]
    stored_in_out = "optax" in key  # handed the same array, optax takes its rows for the input
    run = start(SMALL[key], {"W": W.T if stored_in_out else W})
    for G in gradients:
        run.step({"W": G.T if stored_in_out else G})
    result = run.params["W"].T if stored_in_out else run.params["W"]
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-8)
