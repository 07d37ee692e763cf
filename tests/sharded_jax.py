"""What `test_jax_sharding.py` runs on eight simulated devices: `python tests/sharded_jax.py muon=Auto …`; a report as JSON.

Ten matrices of one shape come from four kernels, a leaf of three experts and a fused one; beside them lie vectors, a table
and a leaf that nothing divides.
"""

import json
import re
import sys
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from deva_core import AdaGO, DeVA, Muon, observe
from deva_jax import transform

RULES = {"muon": Muon, "adago": AdaGO, "deva": lambda **v: DeVA(precondition_frequency=2, ns_steps=2, **v)}
LAYOUT = {"experts": "experts in out", "qkv": "in (q k v)", "table": "vector"}
SHAPES = {f"layer{k}": {"kernel": (16, 32), "bias": (32,)} for k in range(4)}
SHAPES |= {"experts": (3, 16, 32), "qkv": (16, 96), "table": (24, 16)}
SPECS = {"bias": ("data",), "experts": (None, None, "data"), "qkv": (None, "data"), "table": ("data",)}
STEPS = 4


def model(mesh=None) -> dict:
    """Parameters, float64; sharded as different users would, or on one device."""
    random = np.random.default_rng(0)
    is_shape = lambda x: isinstance(x, tuple)  # noqa: E731
    params = jax.tree.map(lambda shape: random.standard_normal(shape), SHAPES, is_leaf=is_shape)
    if mesh is None:
        return jax.tree.map(jnp.asarray, params)

    def place(path, W):
        spec = mesh.axis_names if path[-1].key == "kernel" else SPECS.get(path[-1].key, ())
        return jax.device_put(W, NamedSharding(mesh, PartitionSpec(*spec)))

    return jax.tree_util.tree_map_with_path(place, params)


def train(optimizer, params) -> tuple[dict, dict]:
    """The parameters after some steps, and facts about the compiled step. One program takes them all, or it raises."""
    traces, state = [], optimizer.init(params)

    def step(params, state):
        traces.append(1)
        grads = jax.tree.map(lambda W: jnp.sin(3 * W) + W, params)
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    jitted = jax.jit(step, out_shardings=jax.tree.map(lambda x: x.sharding, (params, state)))
    compiled = jitted.lower(params, state).compile()
    held = sum(prod(x.sharding.shard_shape(x.shape)) for x in jax.tree.leaves(state))
    for _ in range(STEPS):
        params, state = compiled(params, state)
    jitted.trace(params, state)
    text = compiled.as_text()
    return params, {"traces": len(traces), "held": held, "moved": moved(text), "products": products(text)}


def seen(optimizer, params) -> dict[str, list[float]]:
    """What `observe` shows of a first step."""

    @jax.jit
    def step(params, state):
        with observe() as found:
            optimizer.update(jax.tree.map(jnp.sin, params), state, params)
        return found

    return {name: [float(x) for x in numbers] for name, numbers in step(params, optimizer.init(params)).items()}


def products(text: str) -> dict[str, int]:
    """How many products of two matrices are in the program, by their shape; those of a loop count once."""
    found: dict[str, int] = {}
    for shape in re.findall(r" = \w+\[([\d,]+)\]\S* dot\(", text):
        *batch, rows, columns = map(int, shape.split(","))
        key = f"{rows}x{columns}"
        found[key] = found.get(key, 0) + prod(batch)
    return found


def moved(text: str) -> dict[str, list[int]]:
    """How many entries each collective operation's results have, on one device."""
    found: dict[str, list[int]] = {}
    for shapes, operation in re.findall(
        r" = (.*?) (all-gather|all-to-all|all-reduce|reduce-scatter|collective-permute|collective-broadcast)(?:-start)?\(",
        text,
    ):
        sizes = [prod(map(int, filter(None, dims.split(",")))) for dims in re.findall(r"\w+\[([\d,]*)\]", shapes)]
        found.setdefault(operation, []).append(sum(sizes))
    return found


def main(name: str, axes: str) -> dict:
    """Both ways to train, and how far apart they end. Kernels are sharded along both sides where the mesh is explicit."""
    shape, names = ((4, 2), ("data", "model")) if axes == "Explicit" else ((8,), ("data",))
    mesh = jax.make_mesh(shape, names, axis_types=(getattr(AxisType, axes),) * len(shape))
    rule = RULES[name](lr=lambda count: 0.1 / (1 + count))
    sharding = NamedSharding(mesh, PartitionSpec(names))
    alone, one = train(transform(rule, layout=LAYOUT), model())
    together, eight = train(transform(rule, layout=LAYOUT, stack_sharding=sharding), model(mesh))
    shown = [
        seen(transform(rule, layout=LAYOUT, **how), W)
        for how, W in (({}, model()), ({"stack_sharding": sharding}, model(mesh)))
    ]
    apart = jax.tree.map(lambda a, b: float(np.abs(np.asarray(a) - np.asarray(b)).max()), alone, together)
    return {"apart": max(jax.tree.leaves(apart)), "one": one, "eight": eight, "seen": shown}


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    print(json.dumps({name: main(name, axes) for name, axes in (each.split("=") for each in sys.argv[1:])}))
