"""Where states rest, and steps over arrays whose types name their shardings.

On a mesh with `AxisType.Explicit`, which `jax.make_mesh` makes by default, a product must say how its result is sharded, and
rules say nothing of shardings. So they compute where all axes are `Auto`, and what they return is given its sharding.
"""

from copy import copy
from typing import Any

import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec, auto_axes, get_abstract_mesh

from deva_core import Rule, hyperparameters
from deva_core.parameter import Parameter
from deva_core.telemetry import Telemetry, watched
from deva_jax._devices import Devices
from deva_jax._tree import named


def explicit_mesh(tree: Any, sharding: Any) -> Any:
    """The mesh with explicit axes that arrays, `stack_sharding` or the program are on; None where there is none."""
    meshes = [jax.typeof(x).sharding.mesh for x in jax.tree.leaves(tree)] + [get_abstract_mesh()]
    if isinstance(sharding, NamedSharding):
        meshes.append(sharding.mesh.abstract_mesh)
    return next((mesh for mesh in meshes if AxisType.Explicit in mesh.axis_types), None)


def sharding_of(x: jax.Array, mesh: Any) -> NamedSharding:
    """What an array's type says; whole on every device where that is nothing."""
    known = jax.typeof(x).sharding
    return NamedSharding(mesh, PartitionSpec()) if known.mesh.empty else known


def arrays_of(rule: Rule | None) -> dict[str, jax.Array]:
    """The hyperparameters that are arrays (`optax.inject_hyperparams` makes arrays of them)."""
    values = {name: getattr(rule, name) for name in hyperparameters(rule)} if rule is not None else {}
    return {name: value for name, value in values.items() if isinstance(value, jax.Array)}


def stays(p: Parameter, x: Any, W: Any) -> bool:
    """Whether an array of a parameter's state lies as the parameter does: all of a rule for any shape that are like it."""
    return not p.rule.matrix and x.shape == W.shape


def settled(p: Parameter, W: jax.Array, slot: Any, sharding: Any) -> Any:
    """A parameter's slot where steps under `stack_sharding` will leave it, so that the second compiles nothing anew."""
    devices = Devices.of(sharding)
    return jax.tree.map(lambda x: x if stays(p, x, W) else devices.spread(x), slot)


def resting(p: Parameter, W: jax.Array, slot: Any, sharding: Any, mesh: Any) -> Any:
    """The shardings of a parameter's slot on an explicit mesh: spread over `stack_sharding`'s devices, or its own."""
    home = sharding_of(W, mesh)
    if sharding is None:
        names = [name for axis in home.spec for name in (axis if isinstance(axis, tuple) else (axis,)) if name]
        devices = Devices(home.mesh, tuple(names))
    else:
        devices = Devices.of(sharding, mesh)
    return jax.tree.map(lambda x: home if stays(p, x, W) else devices.sharding(x.shape), slot)


class Placed:
    """A transformation's two functions, `init` and `update`, which place their results on the right devices."""

    def __init__(self, functions: Any) -> None:
        self.plain, self.sharding = functions, functions.sharding
        self.arrays = arrays_of(functions.rule), arrays_of(functions.vector_rule)
        self.typed_update = jax.jit(self.update_typed, static_argnums=0)

    def untyped(self, name: str, out: Any) -> Any:
        """A function of the transformation, computed where all axes are `Auto`; `out` has its results' shardings.

        It closes over no array: those of the rules come in with the others.
        """

        def function(arrays: Any, *trees: Any) -> Any:
            plain = copy(self.plain)
            rules = zip((plain.rule, plain.vector_rule), arrays, strict=True)
            plain.rule, plain.vector_rule = (rule and rule.with_values(**values) for rule, values in rules)
            return getattr(plain, name)(*trees)

        return auto_axes(function, out_sharding=out)

    def over_slots(self, function: Any, params: Any, state: Any, *more: Any) -> Any:
        """The state with `function(parameter, W, slot, …)` in place of each slot."""
        leaves, structure = named(params)
        parameters, slots = self.plain.assignment(leaves), structure.flatten_up_to(state.slots)
        new = [
            slot if W is None else function(parameters[name], W, slot, self.sharding, *more)
            for (name, W), slot in zip(leaves.items(), slots, strict=True)
        ]
        return state._replace(slots=structure.unflatten(new))

    def init(self, params: Any) -> Any:
        """The state before the first update."""
        self.plain.assignment(named(params)[0])  # raises an error that names leaves other than arrays
        mesh = explicit_mesh(params, self.sharding)
        if mesh is None:
            state = self.plain.init(params)
            if self.sharding is None:
                return state
            count = Devices.of(self.sharding).spread(state.count)
            return self.over_slots(settled, params, state)._replace(count=count)
        shapes = jax.eval_shape(self.plain.init, jax.tree.map(lambda W: jax.ShapeDtypeStruct(W.shape, W.dtype), params))
        places = self.over_slots(resting, params, shapes, mesh)._replace(count=NamedSharding(mesh, PartitionSpec()))
        return jax.jit(self.untyped("init", places), keep_unused=True)(self.arrays, params)

    def update(self, updates: Any, state: Any, params: Any | None = None) -> tuple[Any, Any]:
        """The deltas to add, in working precision (`optax.apply_updates` rounds once); None where there is no gradient."""
        if params is None or explicit_mesh(params, self.sharding) is None:
            return self.plain.update(updates, state, params)
        noted = watched(self.plain.b).observer
        if noted is None:
            return self.typed_update("update", self.arrays, updates, state, params)
        deltas, state, seen = self.typed_update("observed", self.arrays, updates, state, params)
        noted.update(seen)
        return deltas, state

    def update_typed(self, name: str, arrays: Any, updates: Any, state: Any, params: Any) -> tuple[Any, ...]:
        """`update` or `observed` on an explicit mesh."""
        mesh = explicit_mesh(params, self.sharding)
        leaves, structure = named(params)
        gradients = {name: G for name, G in named(updates)[0].items() if G is not None}
        deltas = [sharding_of(W, mesh) if name in gradients else None for name, W in leaves.items()]
        out = structure.unflatten(deltas), jax.tree.map(lambda x: sharding_of(x, mesh), state)
        if name == "observed":
            number = NamedSharding(mesh, PartitionSpec())
            out = *out, dict.fromkeys(gradients, Telemetry(*[number] * len(Telemetry._fields)))
        return self.untyped(name, out)(arrays, updates, state, params)
