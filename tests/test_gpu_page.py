"""docs/gpu.md: it is what the published results give, its words hold no figures, and what is chosen was not the slower."""

import re

import pytest

pytest.importorskip("torch")
pytest.importorskip("rich")
pytest.importorskip("threadpoolctl")

from benchmarks.gpu import chosen, page
from benchmarks.speed.pairs import PAIRS

NAMES = re.compile(r"float\d+|TF32|FSDP2")
CODE = re.compile(r"```.*?```|<!--.*?-->|`[^`]*`|\]\([^)]*\)|\{\w+\}", re.DOTALL)


@pytest.fixture(scope="module")
def found():
    return page.results()


def test_the_page_is_what_the_published_results_give(found):
    written = page.PUBLISHED.read_text(encoding="utf-8")
    assert written == page.text(found)
    assert not re.findall(r"\{\w+\}", written), "a part of the page was not filled in"


def test_the_words_of_the_page_hold_no_figures():
    words = NAMES.sub("", CODE.sub("", page.TEMPLATE.read_text(encoding="utf-8")))
    assert not re.findall(r".*\d.*", words)


def test_every_result_is_of_the_same_device_and_the_same_versions(found):
    entries = [entry for file in ("kit", "checks") for entry in found[file]["backends"].values()]
    devices = {entry["device"] for entry in entries} | {found[file]["machine"]["device"] for file in page.SPEEDS}
    assert len(devices) == 1 and found["kit"]["driver"] == found["checks"]["driver"]
    versions = found["kit"]["versions"]
    for result in found.values():
        shared = versions.keys() & result["versions"].keys()
        assert len(shared) >= 6 and all(result["versions"][name] == versions[name] for name in shared)


def test_no_measurement_that_the_page_shows_failed(found):
    assert '"error": "' not in page.json.dumps(found)


def test_what_runs_on_a_gpu_since_is_hardly_slower_than_what_was_quicker(found):
    assert page.worst(found) < 0.1
    questions = {row["question"] for entry in found["checks"]["backends"].values() for row in entry.get("choices", [])}
    assert questions == chosen.TRIED.keys()


def test_a_pair_is_either_shown_or_named_as_not_run(found):
    result = page.together(found)
    written = page.pairs(result), page.missing(result)
    for pair in PAIRS:
        if "cuda" in pair.devices:
            assert any(f"| {pair.title} |" in part for part in written), pair.name
    everything = {"pairs": [{"pair": pair.name, "set": name} for pair in PAIRS for name in pair.sets]}
    assert page.missing(everything) == "*Not measured in this run.*"


def test_an_unknown_constant_is_an_error():
    assert chosen.constant("deva_torch", "ON_HOSTS") == 96
    with pytest.raises(LookupError):
        chosen.constant("deva_torch", "NOTHING")


def test_the_thresholds_that_are_read_are_those_that_run():
    import torch

    from deva_torch._backend import default_costs

    costs = default_costs("cuda", torch.bfloat16)
    gram = chosen.constant("deva_torch", "GRAM_ON_ACCELERATORS")
    assert (costs.gram_rows, costs.gram_gain) == (gram["gram_rows"], gram["gram_gain"])
    assert costs.stacked_rows == chosen.constant("deva_torch", "ON_ACCELERATORS")


def test_jax_batches_on_a_gpu():
    pytest.importorskip("jax")
    from deva_jax._stack import Stacking

    assert not Stacking("cuda").loops(None) and chosen.chosen("loops", (64, 64)) == "batched"
