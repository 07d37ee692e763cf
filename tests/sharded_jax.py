"""What `test_jax_sharding.py` runs on eight simulated devices: `python tests/sharded_jax.py RULE AXES`, a report as JSON.

Sixteen matrices of one shape come from ten kernels, a leaf of three experts and a fused one; beside them lies a matrix that
divides among nothing, one that is alone, vectors and a table.
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

from deva_core import AdaGO, DeVA, Muon
from deva_jax import transform

RULES = {"muon": Muon, "adago": AdaGO, "deva": lambda **v: DeVA(precondition_frequency=2, **v)}
LAYOUT = {"experts": "experts in out", "qkv": "in (q k v)", "table": "vector"}
SHAPES = {f"layer{k}": {"kernel": (16, 32), "bias": (32,)} for k in range(10)}
SHAPES |= {"experts": (3, 16, 32), "qkv": (16, 96), "odd": {"weight": (5, 3)}, "alone": (32, 64), "table": (24, 16)}
SPECS = {"kernel": ("data",), "bias": ("data",), "experts": (None, None, "data"), "qkv": (None, "data")}
SPECS |= {"alone": (None, "data"), "table": ("data",)}
STEPS = 4


def model(mesh=None) -> dict:
    """Parameters, float64; sharded as different users would, or on one device."""
    random = np.random.default_rng(0)
    is_shape = lambda x: isinstance(x, tuple)  # noqa: E731
    params = jax.tree.map(lambda shape: random.standard_normal(shape), SHAPES, is_leaf=is_shape)
    if mesh is None:
        return jax.tree.map(jnp.asarray, params)

    def place(path, W):
        return jax.device_put(W, NamedSharding(mesh, PartitionSpec(*SPECS.get(path[-1].key, ()))))

    return jax.tree_util.tree_map_with_path(place, params)


def train(optimizer, params) -> tuple[dict, dict]:
    """The parameters after some steps, and what the compiled step looks like."""
    traces = []

    @jax.jit
    def step(params, state):
        traces.append(1)
        grads = jax.tree.map(lambda W: jnp.sin(3 * W) + W, params)
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    state = optimizer.init(params)
    compiled = step.lower(params, state).compile()
    held = sum(prod(x.sharding.shard_shape(x.shape)) for x in jax.tree.leaves(state))
    for _ in range(STEPS):
        params, state = step(params, state)
    facts = {"traces": len(traces), "compiled": step._cache_size(), "flops": compiled.cost_analysis()["flops"]}
    return params, facts | {"held": held, "moved": moved(compiled.as_text())}


def moved(text: str) -> dict[str, list[int]]:
    """How many entries each collective operation's results have, on one device."""
    found: dict[str, list[int]] = {}
    for shapes, operation in re.findall(
        r" = (.*?) (all-gather|all-to-all|all-reduce|reduce-scatter|collective-permute|collective-broadcast)(?:-start)?\(", text
    ):
        sizes = [prod(map(int, filter(None, dims.split(",")))) for dims in re.findall(r"\w+\[([\d,]*)\]", shapes)]
        found.setdefault(operation, []).append(sum(sizes))
    return found


def main(name: str, axes: str) -> dict:
    jax.config.update("jax_enable_x64", True)
    mesh = jax.make_mesh((8,), ("data",), axis_types=(getattr(AxisType, axes),))
    rule = RULES[name](lr=lambda count: 0.1 / (1 + count))
    alone, one = train(transform(rule, layout=LAYOUT), model())
    together, eight = train(transform(rule, layout=LAYOUT, stack_sharding=NamedSharding(mesh, PartitionSpec("data"))), model(mesh))
    apart = jax.tree.map(lambda a, b: float(np.abs(np.asarray(a) - np.asarray(b)).max()), alone, together)
    return {"apart": max(jax.tree.leaves(apart)), "one": one, "eight": eight}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
