"""Names and types: what the rules call through `xp` is in real CuPy, with signatures that take the calls. Runs no kernel."""

import ast
import inspect
from pathlib import Path

import numpy as np
import pytest

from tests.fake_cupy import VERSION
from tests.fake_cupy._module import LINALG, MISSING

ROOT = Path(__file__).parent.parent
FILES = [*(ROOT / "deva_core").glob("*.py"), *(ROOT / "backends" / "deva_cupy").glob("*.py")]


def dotted(node: ast.AST) -> str:
    """`b.xp.linalg.qr` of an attribute's node; names only."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def after_xp(name: str) -> str:
    """What follows `xp.` in a dotted name; empty where there is none."""
    _, _, tail = f".{name}".partition(".xp.")
    return tail


def nodes(kind: type[ast.AST]):
    """Every node of a kind in the core and in deva_cupy."""
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, kind):
                yield file, node


def names() -> set[str]:
    """Every name that is taken from `xp`."""
    found = {after_xp(dotted(node)) for _, node in nodes(ast.Attribute)}
    return {name for name in found if name and name != "linalg"}


def calls() -> list[tuple[str, int, tuple[str, ...]]]:
    """Every call through `xp`: the name, how many positional arguments, which keywords."""
    found = {
        (after_xp(dotted(node.func)), len(node.args), tuple(sorted(k.arg for k in node.keywords)))
        for _, node in nodes(ast.Call)
        if after_xp(dotted(node.func)) and not any(isinstance(a, ast.Starred) for a in node.args)
    }
    return sorted(found)


def test_this_check_sees_the_calls():
    assert {"linalg.qr", "matrix_transpose", "clip", "argsort", "linalg.svd"} <= names()
    assert ("argsort", 1, ("axis", "stable")) in calls()


def test_no_array_attribute_is_used_that_libraries_lack():
    assert not [(file.name, node.attr) for file, node in nodes(ast.Attribute) if node.attr in ("mT", "T")]


@pytest.fixture(scope="module")
def cupy():
    return pytest.importorskip("cupy", reason="names and types are not checked: CuPy is not installed here")


@pytest.fixture(scope="module")
def xp(cupy):
    import deva_cupy._namespace

    return deva_cupy._namespace


def found(xp, name: str):
    for part in name.split("."):
        xp = getattr(xp, part)
    return xp


@pytest.mark.parametrize("name", sorted(names()))
def test_every_name_that_the_rules_take_from_the_namespace_is_there(name, xp):
    assert found(xp, name) is not None


@pytest.mark.parametrize("call", calls(), ids=lambda call: f"{call[0]}-{call[1]}-{'-'.join(call[2])}")
def test_every_call_fits_the_signature(call, xp, cupy):
    name, positional, keywords = call
    function = found(xp, name)
    if isinstance(function, cupy.ufunc):
        assert function.nin == positional and not keywords
        return
    inspect.signature(function).bind(*[None] * positional, **dict.fromkeys(keywords))


def test_the_stand_in_offers_only_what_cupy_has(cupy):
    if not cupy.__version__.startswith(VERSION.rsplit(".", 1)[0]):
        pytest.skip(f"the stand-in imitates CuPy {VERSION}, here is {cupy.__version__}")
    offered = set(np.__all__) - MISSING
    assert not {name for name in offered if not hasattr(cupy, name)}
    assert all(hasattr(cupy.linalg, name) for name in LINALG)


def test_the_package_imports_without_a_device_and_declares_what_it_can_hold(cupy):
    import deva_cupy
    from deva_cupy._backend import bfloat16

    assert issubclass(deva_cupy.Optimizer, __import__("deva_core").Optimizer)
    assert ("bfloat16" in deva_cupy.start.capabilities.dtypes) == (bfloat16() is not None)
    assert not deva_cupy.start.capabilities.compiled


def test_a_machine_without_a_device_is_told_so(cupy):
    if cupy.is_available():
        pytest.skip("there is a device here")
    import deva_cupy
    from deva_core import Muon

    with pytest.raises(RuntimeError, match="no CUDA device"):
        deva_cupy.start(Muon(), {"w": np.ones((2, 2), np.float32)})


def test_cupy_knows_bfloat16_by_the_dtype_that_arrives(cupy):
    scalar = pytest.importorskip("cupy._core._scalar")
    ml_dtypes = pytest.importorskip("ml_dtypes")
    if not cupy.__version__.startswith(VERSION.rsplit(".", 1)[0]):
        pytest.skip("a private name of CuPy 14.2 is asked")
    assert scalar.get_typename(np.dtype(ml_dtypes.bfloat16)) == "bfloat16"


def test_the_kernels_have_the_parameters_that_their_text_means(cupy):
    from deva_cupy import _kernels

    kinds = [
        (p.name, p.ctype, p.dtype) for p in (*_kernels.combine_float.in_params, *_kernels.combine_float.out_params)
    ]
    single = np.dtype("float32")
    assert kinds == [
        ("x", "T", None), ("y", "T", None), ("p", "float", single), ("q", "float", single), ("z", "T", None),
    ]  # fmt: skip
    assert [p.dtype for p in _kernels.combine_double.in_params[2:]] == [np.float64] * 2
