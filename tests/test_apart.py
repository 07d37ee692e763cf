"""The first page's picture: its distances and its plane, and that its words are its result's."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from benchmarks import apart

PAGE = (apart.ROOT / "docs" / "index.md").read_text(encoding="utf-8")


def test_a_distance_is_relative_to_what_the_first_walked():
    a = np.array([[[3.0, 4.0]], [[6.0, 8.0]]])
    assert apart.distances(a, 2 * a) == [1.0, 1.0] and apart.distances(a, a) == [0.0, 0.0]


def test_the_plane_keeps_lengths_and_angles_of_the_ends_that_span_it():
    r = np.random.default_rng(0)
    paths = [r.normal(size=(4, 3, 5)) for _ in range(3)]
    first, other, third = (np.array(path) for path in apart.in_a_plane(paths))
    u, v = paths[0][-1].ravel(), paths[1][-1].ravel()
    assert first.shape == (5, 2) and not first[0].any()
    assert np.allclose(first[-1], [1, 0], atol=1e-4)
    assert np.isclose(other[-1] @ first[-1], u @ v / (u @ u), atol=1e-4)
    assert np.isclose(np.linalg.norm(other[-1]), np.linalg.norm(v) / np.linalg.norm(u), atol=1e-4)
    assert np.linalg.norm(third[-1]) <= np.linalg.norm(paths[2][-1]) / np.linalg.norm(u)


def test_the_page_says_what_the_result_holds_and_the_picture_is_drawn_from_it(tmp_path):
    found = json.loads(apart.JSON.read_text(encoding="utf-8"))
    ends = {name: values[-1] for name, values in found["distance over distance walked"].items()}
    for words in (f"{100 * ends[apart.ARRAY]:.0f} %", f"{100 * ends[apart.LAYER]:.2g} %", f"{ends[apart.OURS]:.0e}"):
        assert words.replace("e-0", "e-") in " ".join(PAGE.split()), words
    drawn = tmp_path / "apart.svg"
    apart.draw(found, drawn)
    assert b"<svg" in drawn.read_bytes() and Path(apart.PICTURE).exists()
