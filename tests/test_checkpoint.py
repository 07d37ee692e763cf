"""State that travels: save on one backend, resume on another; refuse whatever does not belong."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as deserialize
from safetensors.numpy import save as serialize

from deva_core import SPECIFICATION, AdaGO, CheckpointError, DeVA, Muon, checkpoint
from deva_core.checkpoint import BLANK, metadata_of, seal
from tests.conftest import INSTALLED
from tests.gradients import stream, walked

SHAPES = {"wide": (3, 5), "tall": (5, 3), "stack": (2, 3, 4)}
RULES = [Muon(), AdaGO(weight_decay=0.1), DeVA(precondition_frequency=3, max_precondition_dim=4)]
STEPS = 10


def initial(dtype=np.float64):
    r = np.random.default_rng(0)
    return {**{name: r.normal(size=shape).astype(dtype) for name, shape in SHAPES.items()}, "bias": np.ones(3, dtype)}


def gradients(t, dtype=np.float64):
    matrices = {name: stream("full rank", shape, STEPS)[t] for name, shape in SHAPES.items()}
    bias = None if t % 3 == 1 else np.cos(np.arange(3.0) + t)  # missing now and then: the counts differ
    return {name: None if G is None else G.astype(dtype) for name, G in {**matrices, "bias": bias}.items()}


def advance(run, steps, dtype=np.float64):
    for t in steps:
        run.step(gradients(t, dtype))
    return run


def schedule(rule):
    """A callable hyperparameter: the count travels too."""
    return dataclasses.replace(rule, lr=lambda count: rule.lr * (1 - 0.05 * count))


@pytest.fixture(scope="module")
def uninterrupted():
    """Ten steps, and a checkpoint after five, of each rule on each backend."""
    cache = {}

    def run(backend, rule, folder):
        if (backend, rule) not in cache:
            whole = advance(INSTALLED[backend].load()(schedule(rule), initial()), range(5))
            path, half = folder / f"{backend}-{type(rule).__name__}.safetensors", whole.params
            whole.save(path)
            cache[backend, rule] = path, half, advance(whole, range(5, STEPS)).params
        return cache[backend, rule]

    return run


@pytest.mark.parametrize(("source", "target"), list(itertools.product(sorted(INSTALLED), repeat=2)))
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_resuming_elsewhere_equals_going_on(source, target, rule, uninterrupted, tmp_path_factory):
    """All ordered pairs, to 1e-9 of the distance walked in float64; on the same backend, bit for bit."""
    path, half, end = uninterrupted(source, rule, tmp_path_factory.getbasetemp())
    resumed = INSTALLED[target].load()(schedule(rule), half)
    resumed.load(path)
    advance(resumed, range(5, STEPS))
    for name, W in end.items():
        distance = np.linalg.norm(resumed.params[name] - W)
        assert distance == 0 if source == target else distance <= 1e-9 * walked(half[name], W), name


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_the_same_backend_resumes_bit_for_bit(start, rule, dtype, tmp_path):
    import ml_dtypes

    dtype = np.dtype(getattr(ml_dtypes, dtype, dtype))
    run = advance(start(rule, initial(dtype)), range(3), dtype)
    run.save(tmp_path / "state")
    resumed = start(rule, run.params)
    resumed.load(tmp_path / "state")
    end, again = advance(run, range(3, 6), dtype).params, advance(resumed, range(3, 6), dtype).params
    assert all(end[name].tobytes() == again[name].tobytes() for name in end)


def small_run(start, rule=None):
    run = start(rule or Muon(), {"a/b%c": np.ones((2, 3)), "w": np.ones(3)})
    run.step({"a/b%c": np.full((2, 3), 0.5), "w": np.full(3, 2.0)})
    return run


def snapshot(run):
    return {n: {k: np.asarray(v).tobytes() for k, v in fields.items()} for n, fields in run.state.items()}


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    """A checkpoint's bytes, and a run to load into."""
    start = INSTALLED["numpy"].load()
    path = tmp_path_factory.mktemp("sealed") / "state.safetensors"
    small_run(start).save(path)
    return path.read_bytes(), small_run(start), path


def refused(run, path, data):
    """Loading these bytes raises CheckpointError with a cause, and changes nothing."""
    before = snapshot(run)
    path.write_bytes(data)
    with pytest.raises(CheckpointError) as error:
        run.load(path)
    assert len(str(error.value)) > 10
    assert snapshot(run) == before
    return str(error.value)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_a_flipped_byte_anywhere_is_refused(sealed, data):
    original, run, path = sealed
    position = data.draw(st.integers(0, len(original) - 1))
    flip = data.draw(st.integers(1, 255))
    refused(run, path, original[:position] + bytes([original[position] ^ flip]) + original[position + 1 :])


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_a_truncated_or_lengthened_file_is_refused(sealed, data):
    original, run, path = sealed
    length = data.draw(st.integers(0, len(original) - 1))
    refused(run, path, original[:length])
    refused(run, path, original + bytes(data.draw(st.integers(1, 9))))


def resealed(data: bytes, edit) -> bytes:
    """The file with its header edited and a digest that is right again: what a careless tool would write."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"]["sha256"] = BLANK
    edit(header)
    text = json.dumps(header).encode()
    return seal(len(text).to_bytes(8, "little") + text + data[8 + length :])


def test_two_fields_swapped_are_refused_by_the_digest(sealed):
    original, run, path = sealed
    swapped = original.replace(b"w/exp_avg_sq", b"w/exp_avg_??").replace(b'w/exp_avg"', b'w/exp_avg_sq"')
    assert "SHA-256" in refused(run, path, swapped.replace(b'w/exp_avg_??"', b'w/exp_avg"'))


def edit_optimizer(change):
    def edit(header):
        optimizer = json.loads(header["__metadata__"]["optimizer"])
        change(optimizer)
        header["__metadata__"]["optimizer"] = json.dumps(optimizer)

    return edit


MOMENTUM = "a%2Fb%25c/momentum"
MISMATCHES = {
    "a tensor renamed": (lambda h: h.update({"a%2Fb%25c/speed": h.pop(MOMENTUM)}), "has the fields"),
    "a tensor missing": (lambda h: h.update({"z/extra": h.pop(MOMENTUM)}), "has the fields"),
    "a shape transposed": (lambda h: h[MOMENTUM].update(shape=[3, 2]), r"momentum of 'a/b%c' has shape \(3, 2\)"),
    "a field of another rule": (lambda h: h.update({"w/momentum": h.pop("w/exp_avg")}), "has the fields"),
    "another parameter": (
        edit_optimizer(lambda o: o["parameters"].update(v=o["parameters"].pop("w"))),
        "parameters differ",
    ),
    "another rule": (edit_optimizer(lambda o: o["parameters"]["w"].update(rule="Muon")), "was optimised by Muon"),
    "another structure": (
        edit_optimizer(lambda o: o["parameters"]["a/b%c"]["hyperparameters"].update(nesterov=False)),
        "nesterov False, here True",
    ),
    "no step": (edit_optimizer(lambda o: o["parameters"]["w"].pop("step")), "step"),
    "a step that is none": (edit_optimizer(lambda o: o["parameters"]["w"].update(step="3")), "step"),
    "a negative count": (edit_optimizer(lambda o: o.update(count=-1)), "count"),
    "no parameters": (edit_optimizer(lambda o: o.pop("parameters")), "parameters"),
    "another format": (lambda h: h["__metadata__"].update(format="pickle"), "another format"),
    "a later version": (lambda h: h["__metadata__"].update(format_version="9"), "format version '9'"),
}


@pytest.mark.parametrize("name", MISMATCHES)
def test_a_file_that_belongs_elsewhere_is_refused_with_the_difference(sealed, name):
    edit, message = MISMATCHES[name]
    data, run, path = sealed
    import re

    assert re.search(message, refused(run, path, resealed(data, edit)))


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_metadata_of_another_kind_is_refused(sealed, data):
    """The count or the parameters replaced by a value of another type."""
    original, run, path = sealed
    key = data.draw(st.sampled_from(["count", "parameters"]))
    value = data.draw(st.one_of(st.none(), st.text(max_size=3), st.floats(), st.lists(st.integers(), max_size=2)))
    refused(run, path, resealed(original, edit_optimizer(lambda o: o.update({key: value}))))


def test_numeric_differences_warn_and_go_on(start, tmp_path):
    small_run(start).save(tmp_path / "state")
    run = small_run(start, Muon(lr=0.5))
    with pytest.warns(UserWarning) as seen:
        run.load(tmp_path / "state")
    said = sorted(str(warning.message).partition(" continues")[2] for warning in seen)
    assert said == [" with other values: lr 0.004, here 0.1", " with other values: lr 0.02, here 0.5"]


def test_names_are_mapped(start, tmp_path):
    small_run(start).save(tmp_path / "state")
    run = start(Muon(), {"weight": np.ones((2, 3)), "w": np.ones(3)})
    with pytest.raises(CheckpointError, match="only in the checkpoint"):
        run.load(tmp_path / "state")
    run.load(tmp_path / "state", rename={"a/b%c": "weight"})
    assert run.state["weight"]["step"] == 1


def test_narrowing_is_refused_widening_is_not(start, tmp_path):
    wide, narrow = ({"W": np.ones((2, 3), dtype)} for dtype in (np.float64, np.float32))
    start(Muon(), wide).save(tmp_path / "wide")
    start(Muon(), narrow).save(tmp_path / "narrow")
    with pytest.raises(CheckpointError, match="would lose precision"):
        start(Muon(), narrow).load(tmp_path / "wide")
    start(Muon(), wide).load(tmp_path / "narrow")


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    start = INSTALLED["numpy"].load()
    run = small_run(start)
    run.save(tmp_path / "state")
    before = (tmp_path / "state").read_bytes()
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        run.save(tmp_path / "state")
    assert (tmp_path / "state").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_the_file_says_what_it_is(tmp_path):
    start = INSTALLED["numpy"].load()
    small_run(start, Muon(lr=lambda count: 0.1)).save(tmp_path / "state")
    metadata = metadata_of((tmp_path / "state").read_bytes())
    assert (metadata["format"], metadata["format_version"], metadata["specification_version"]) == (
        "deva-optim",
        "1",
        str(SPECIFICATION),
    )
    parameter = json.loads(metadata["optimizer"])["parameters"]["a/b%c"]
    assert parameter["hyperparameters"]["lr"] == "<schedule>"
    assert (parameter["step"], parameter["rule"], parameter["layout"]) == (1, "Muon", "... out in")


@pytest.mark.parametrize("name", ["0" * 64, '"sha256":"' + "0" * 64 + '"', "a" * 64])
def test_a_name_that_looks_like_a_digest_is_saved_and_loaded(start, tmp_path, name):
    """Again and again: safetensors writes its metadata in no fixed order."""
    run = start(Muon(), {name: np.ones((2, 3))})
    for _ in range(10):
        run.save(tmp_path / "state")
        run.load(tmp_path / "state")


class Counting(dict):
    """Tensors of a file that count how often they are looked over: a clock would be disturbed by whatever else runs."""

    looks = 0

    def items(self):
        for item in super().items():
            Counting.looks += 1
            yield item

    def __iter__(self):
        return (name for name, _ in self.items())


def test_the_time_to_load_grows_as_the_number_of_parameters(tmp_path):
    entries = {f"p{k}": checkpoint.Entry(Muon(), "out in", 1, {"momentum": np.ones(1)}) for k in range(200)}
    checkpoint.save(tmp_path / "state", entries, 1, serialize)
    checkpoint.load(tmp_path / "state", entries, lambda data: Counting(deserialize(data)))
    assert 0 < Counting.looks <= 2 * len(entries)
