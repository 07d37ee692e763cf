"""What a mistake is answered with: one row a mistake, in every host."""

import re

import numpy as np
import pytest

import deva_numpy
from deva_core import (
    CheckpointError,
    Muon,
)
from tests.mistakes.core import (
    ARRAYS,
    CORE,
    functional,
    state_of,
)
from tests.mistakes.in_jax import (
    JAX_ROWS,
)
from tests.mistakes.in_torch import (
    TORCH_ROWS,
)

INTERNAL = re.compile(r"__\w+__|Assigned|Transform\b|Placed|\bSlot\b|check_\w+|\b_\w+\.|0x[0-9a-f]{6}|NoneType' object")
"""What no message may show: names that users never write, and addresses."""


ROWS = [*CORE, *(TORCH_ROWS or ()), *(JAX_ROWS or ())]


@pytest.mark.parametrize("mistake", ROWS, ids=lambda mistake: mistake.name)
def test_a_mistake_is_answered_with_what_to_write(mistake):
    with pytest.raises(mistake.error) as caught:
        mistake.call()
    message = str(caught.value)
    assert type(caught.value) is mistake.error
    assert all(fragment in message for fragment in mistake.fragments), message
    assert not INTERNAL.search(message), message
    assert "\n" not in message and len(message) < 700, message


def test_each_mistake_stands_once():
    assert len({mistake.name for mistake in ROWS}) == len(ROWS)


FILES = {
    "empty": (b"", "the file is empty"),
    "torch": (b"PK\x03\x04 and more", "torch.load(path)"),
    "pickle": (b"\x80\x04K\x01.", "pickle wrote it"),
    "numpy": (b"\x93NUMPY\x01\x00", "numpy.save wrote it"),
    "text": (b"some other words that are long enough", "its header cannot be read"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_of_another_kind_is_called_by_its_kind(kind, tmp_path):
    data, fragment = FILES[kind]
    (tmp_path / "state").write_bytes(data)
    with pytest.raises(CheckpointError, match=re.escape(fragment)):
        deva_numpy.load(tmp_path / "state", functional(), ARRAYS)


def test_a_file_of_weights_is_called_so(tmp_path):
    from safetensors.numpy import save_file

    save_file({"a": np.ones(2)}, tmp_path / "weights")
    with pytest.raises(CheckpointError, match="a safetensors file of something else"):
        deva_numpy.load(tmp_path / "weights", functional(), ARRAYS)


@pytest.mark.parametrize("rename", [["weight"], 3, lambda name: None], ids=["list", "number", "nothing"])
def test_a_rename_that_names_nothing_is_refused(rename, tmp_path):
    deva_numpy.save(tmp_path / "state", functional(), ARRAYS, state_of(Muon()))
    with pytest.raises(TypeError, match="rename must"):
        deva_numpy.load(tmp_path / "state", functional(), ARRAYS, rename)
