"""JAX on eight devices: each steps its own share of the matrices, and the numbers are those of one.

The devices are simulated; their number is fixed when a process starts, so these run in processes of their own.
"""

import json
import os
import subprocess
import sys
from math import ceil
from pathlib import Path

import pytest

pytest.importorskip("jax")
pytest.importorskip("optax")

import deva_jax
from tests.conftest import QUICK_TO_COMPILE

HERE = Path(__file__).parent
FLAGS = f"{QUICK_TO_COMPILE} --xla_force_host_platform_device_count=8"
AXES = {"muon": "Explicit", "adago": "Auto", "deva": "Auto"}
"""How the mesh's axes are for each rule; explicit ones are `jax.make_mesh`'s own choice."""
MATRIX, MATRICES = 16 * 32, 4 + 3 + 3


def run(*command: str) -> str:
    environment = os.environ | {"XLA_FLAGS": FLAGS, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def reports():
    return json.loads(run(str(HERE / "sharded_jax.py"), *(f"{name}={axes}" for name, axes in AXES.items())))


@pytest.mark.parametrize("name", AXES)
def test_eight_devices_end_where_one_does(reports, name):
    """Four steps under a schedule, float64: kernels, experts and a fused leaf, each sharded in a way of its own."""
    assert reports[name]["apart"] < 1e-9


@pytest.mark.parametrize("name", sorted(AXES))
def test_telemetry_shows_the_same_numbers_on_eight_devices(reports, name):
    one, eight = reports[name]["seen"]
    assert one.keys() == eight.keys() and len(one) > 2
    for parameter, numbers in one.items():
        assert eight[parameter] == pytest.approx(numbers, rel=1e-6, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("name", AXES)
def test_no_device_gathers_more_than_one_matrix(reports, name):
    """Of all operations between devices only the all-to-all, which moves shares, is that large.

    On a mesh of two axes the fused leaf comes back along one of them alone: that may gather a leaf, three matrices.
    """
    moved = reports[name]["eight"]["moved"]
    assert max(moved.pop("all-to-all")) <= 2 * ceil(MATRICES / 8) * MATRIX  # deva's bases of 32×32 are two matrices
    assert max(sum(moved.values(), [0])) <= (3 * MATRIX if AXES[name] == "Explicit" else MATRIX - 1)


@pytest.mark.parametrize("name", AXES)
def test_each_device_computes_and_holds_its_share(reports, name):
    """Ten matrices on eight devices: two each.

    The program shows a loop's matrix once: on one device that of the four kernels; of DeVA on eight that of the branch for
    leaves whose counts differ, beside the two.
    """
    one, eight = reports[name]["one"], reports[name]["eight"]
    share, shown = ceil(MATRICES / 8) + (name == "deva"), 1 + 3 + 3
    assert sum(one["products"].values()) > 0
    assert eight["products"] == {shape: share * count // shown for shape, count in one["products"].items()}
    assert eight["held"] < 0.15 * one["held"]


@pytest.mark.parametrize("name", AXES)
def test_a_sharded_step_is_traced_at_most_twice_and_compiled_once(reports, name):
    assert reports[name]["eight"]["traces"] <= 2


SMALL = """
import jax, numpy as np
from jax.sharding import NamedSharding, PartitionSpec as P
import deva_jax
from deva_core import Muon
mesh = jax.make_mesh((8,), ("data",))
assert mesh.axis_types == (jax.sharding.AxisType.Explicit,)
random = np.random.default_rng(0)
host = {name: random.standard_normal((16, 8)).astype("float32") for name in "ab"} | {"bias": np.ones(8, "float32")}
params = jax.device_put(host, NamedSharding(mesh, P("data")))
plain = deva_jax.muon(layout=None)
expected, _ = plain.update(host, plain.init(host), host)
for sharding, compiled in ((None, jax.jit), (None, lambda f: f), ("data", jax.jit)):
    optimizer = deva_jax.muon(stack_sharding=sharding)
    with jax.set_mesh(mesh):
        updates, state = compiled(optimizer.update)(params, optimizer.init(params), params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-6), expected, updates)
    assert all("data" in x.sharding.spec for x in jax.tree.leaves((updates, state.slots["a"].state)))
for wrong in ("model", "data"):
    try:
        jax.jit(deva_jax.muon(stack_sharding=wrong).update)(host, state, host)
    except ValueError as error:
        assert f"stack_sharding is the mesh axis {wrong!r}, but the mesh in use has ()" == str(error)
    else:
        raise AssertionError(wrong)
"""


def test_arrays_on_explicit_meshes_are_stepped_whether_stacks_are_sharded_or_not():
    """In `jax.jit` and outside, updates and states as the parameters lie; a name that is no axis of the mesh is an error."""
    run("-c", SMALL)


@pytest.mark.parametrize("wrong", [3, ("data",), ""])
def test_a_stack_sharding_that_is_none_is_refused(wrong):
    with pytest.raises(ValueError, match="stack_sharding must be the name of a mesh axis"):
        deva_jax.muon(stack_sharding=wrong)
