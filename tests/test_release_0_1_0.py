"""Runs saved by release 0.1.0 load and go on as they went there."""

import json
import warnings

import pytest

torch = pytest.importorskip("torch")

import deva_torch  # noqa: E402
from deva_core import SpecificationWarning  # noqa: E402
from tests.release_0_1_0 import END, FOLDER, KINDS, SAVED, optimizer, parameters, run  # noqa: E402

ENDS = json.loads((FOLDER / "ends.json").read_text(encoding="utf-8"))
AS_IT_WAS = {
    "Muon": dict(vector_learning_rate=3e-4),
    "AdaGO": dict(vector_learning_rate=3e-4, min_step=5e-4),
    "DeVA": dict(vector_learning_rate=3e-3),
}
"""What 0.1.0 took by default and a portable file, which is of states, does not set."""


def resumed(kind, **options):
    """Parameters and a new optimizer where the run was saved; the optimizer's state is still to be loaded."""
    saved = torch.load(FOLDER / f"{kind}.pt", weights_only=True)
    params = parameters()
    for name, p in params:
        p.data.copy_(saved["params"][name])
    return params, optimizer(kind, params, **options), saved["optimizer"]


def assert_ended_there(params, kind):
    for name, p in params:
        torch.testing.assert_close(p.detach(), torch.tensor(ENDS[kind][name], dtype=p.dtype), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_dict_goes_on_as_it_went(kind):
    """Its vector half too: the ratio is the vector rule's lr over the lr at construction, which the groups held."""
    params, resuming, state = resumed(kind)
    resuming.load_state_dict(state)
    assert all("constructed_lr" not in group and "vector_lr_ratio" in group for group in resuming.param_groups)
    run(resuming, params, SAVED, END)
    assert_ended_there(params, kind)


@pytest.mark.parametrize("kind", AS_IT_WAS)
def test_a_portable_file_goes_on_as_it_went_under_the_same_numbers(kind):
    """It holds states and says which numbers they came with; what changed is warned of."""
    params, resuming, state = resumed(kind, **AS_IT_WAS[kind])
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        deva_torch.load(FOLDER / f"{kind}.safetensors", resuming)
    assert any(issubclass(w.category, SpecificationWarning) for w in seen)
    for group, saved in zip(resuming.param_groups, state["param_groups"], strict=True):
        group["lr"] = saved["lr"]
    run(resuming, params, SAVED, END)
    assert_ended_there(params, kind)
