"""The functional host in a stack of one's own: what it asks of a library is what docs/embedding.md says."""

import re
from pathlib import Path

import array_api_compat.numpy as xp
import array_api_strict
import numpy as np
import pytest

from deva_core import AdaGO, AdamW, Backend, DeVA, DeVAVector, Layout, Muon, Optimizer, observe

PAGE = Path(__file__).parent.parent / "docs" / "embedding.md"


class Recording:
    """A namespace that remembers which of its names were used."""

    def __init__(self, module, used, prefix=""):
        self.__dict__.update(module=module, used=used, prefix=prefix)

    def __getattr__(self, name):
        value = getattr(self.module, name)
        if name == "linalg":
            return Recording(value, self.used, "linalg.")
        self.used.add(self.prefix + name)
        return value


def used(rule, vector_rule=None, layout=None, dtype=np.float64, look=False):
    """The functions that two steps call."""
    names = set()
    optimizer = Optimizer(rule, vector_rule, layout, Backend(xp=Recording(xp, names)))
    shapes = {"matrix": (9, 10), "small": (3, 4)} | ({"vector": (3,), "scalar": ()} if layout is None else {})
    params = {name: np.ones(shape, dtype) for name, shape in shapes.items()}
    state = optimizer.init(params)
    for _ in range(2):
        if look:
            with observe():
                params, state = optimizer.step(params, params, state)
        else:
            params, state = optimizer.step(params, params, state)
    return names


def described():
    """The page's table: for each row its functions."""
    rows = re.findall(r"^\| (.+?) \| ((?:`[\w.]+` ?)+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [set(re.findall(r"`([\w.]+)`", names)) for _, names in rows]


def test_the_page_names_every_function_that_a_library_must_have():
    base, vector, deva, exact, layouts, arrays, telemetry = described()
    muon, array = Muon(), np.asarray(0.5)
    assert base == used(muon, dtype=np.float32) | used(AdaGO()) | used(AdamW())
    assert vector == used(DeVAVector()) - base
    assert deva == used(DeVA()) - base - vector
    assert exact == used(Muon(ns_coefficients="exact")) - base
    assert layouts == (used(muon, layout=Layout("(q k v) in")) | used(muon, layout="in out")) - base
    assert arrays == used(DeVA(beta2=array), DeVAVector(beta2=array)) - base - vector - deva
    assert telemetry == (used(muon, look=True) | used(AdaGO(), look=True)) - base


TREE = {"blocks": [{"weight": (4, 6), "norm": (6,)}, {"weight": (4, 6), "norm": ()}], "pair": ((3, 4), (4, 3))}


def leaves(tree, make, t=0):
    """The same containers, arrays in place of shapes."""
    if isinstance(tree, dict):
        return {key: leaves(child, make, t) for key, child in tree.items()}
    if isinstance(tree, list) or (tree and isinstance(tree[0], tuple)):
        return type(tree)(leaves(child, make, t + k) for k, child in enumerate(tree))
    return make(np.cos((np.arange(float(np.prod(tree))) + 7 * t) ** 2).reshape(tree))


@pytest.mark.parametrize("rule", [Muon(), AdaGO(), DeVA()], ids=repr)
def test_nested_containers_of_strict_arrays_end_where_numpys_do(rule):
    ends = []
    for make in (np.asarray, array_api_strict.asarray):
        optimizer, params = Optimizer(rule), leaves(TREE, make)
        state = optimizer.init(params)
        for t in range(3):
            params, state = optimizer.step(params, leaves(TREE, make, 3 + t), state)
        ends.append(params)
    ours, theirs = ends
    assert isinstance(theirs["pair"], tuple) and isinstance(theirs["blocks"], list)
    for k in range(2):
        for x, y in (
            (ours["pair"][k], theirs["pair"][k]),
            *zip(*(end["blocks"][k].values() for end in ends), strict=True),
        ):
            assert type(y).__module__.startswith("array_api_strict") and np.allclose(
                x, np.asarray(y), rtol=0, atol=1e-12
            )


def test_the_rule_of_ones_own_takes_thirty_lines_at_most():
    """What it does in every host and in the kit, the page itself shows (tests/test_docs.py)."""
    page = PAGE.with_name("own_rule.md").read_text(encoding="utf-8")
    lines = re.search(r"^@dataclass.*?(?=\n```)", page, re.MULTILINE | re.DOTALL)[0].splitlines()
    assert len([line for line in lines if line.strip()]) <= 30 and lines[1].startswith("class NorMuon")
