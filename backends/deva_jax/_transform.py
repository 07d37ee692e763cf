"""The host: an optax `GradientTransformation` that runs one rule on matrices and another on every other parameter."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from deva_core import Backend, Rule
from deva_core.checks import check_arrays, check_default_layout, check_rule, check_state, check_vector_rule
from deva_core.eager import ResolvedRules, stray_gradient
from deva_core.explain import explain as table
from deva_core.explain import warn_of_routes
from deva_core.messages import answered, brief
from deva_core.parameter import (
    DefaultLayout,
    Parameter,
    ambiguous,
    assign,
    check_array,
    check_gradient,
    field_name,
)
from deva_core.telemetry import Telemetry, observe, watched
from deva_core.vector_half import followed, vector_half
from deva_jax._backend import backend, checked_compute_dtype
from deva_jax._devices import advance_all, checked_stack_sharding
from deva_jax._shardings import Placed
from deva_jax._stack import Leaf, Stacking
from deva_jax._stack import Slot as Slot
from deva_jax._tree import named

Params = Any
"""A pytree of arrays."""

ARRAYS = (jax.Array, np.ndarray, np.generic, jax.ShapeDtypeStruct)
PARTITION = "remove everything that is not trained, as equinox.filter(model, equinox.is_inexact_array) does"


class RuleState(NamedTuple):
    """The transformation's state: `count`, the number of updates made so far, and `slots`, one at each leaf.

    Schedules get `count`. `slots` has the parameters' structure; each slot has its own `step`, which counts that leaf's
    gradients, and the rule's `state`.

    Example:
        >>> import jax.numpy as jnp
        >>> from deva_jax import muon
        >>> state = muon().init({"kernel": jnp.ones((3, 4)), "bias": jnp.zeros(4)})
        >>> state.count.item(), sorted(state.slots)
        (0, ['bias', 'kernel'])
    """

    count: jax.Array
    slots: Any


def jax_layout(name: str, shape: tuple[int, ...]) -> tuple[Any, str]:
    """JAX's conventions: kernels are (in, out), as in flax and optax; a leaf named `weight` is (out, in), as in equinox."""
    if len(shape) < 2:
        return "vector", "not a matrix"
    last = name.rpartition(".")[2]
    patterns = {
        "weight": {2: "out in", 4: "out in kh kw", 5: "out in kd kh kw"},
        "kernel": {2: "in out", 4: "kh kw in out", 5: "kd kh kw in out"},
    }
    convention = last if last in patterns else "kernel"
    if len(shape) not in patterns[convention]:
        raise ambiguous(name, shape)
    pattern = patterns[convention][len(shape)]
    return pattern, f"named {last!r}" if last in patterns else f"not named 'weight': {pattern} as in optax"


def lean(state: Any) -> Any:
    """A state with None instead of empty arrays, which unused fields hold: orbax cannot save empty arrays."""
    return jax.tree.map(lambda x: x if x.size else None, state)


def rebuilt(like: Any, given: Any) -> Any:
    """The inverse of `lean`. `flax.nnx` returns named tuples as mappings, without the fields that were None."""
    if isinstance(like, tuple | dict):
        keyed = like if isinstance(like, dict) else like._asdict()  # pyright: ignore[reportAttributeAccessIssue]
        get = given.get if isinstance(given, Mapping) else lambda name: getattr(given, name)
        parts = {name: rebuilt(part, get(name)) for name, part in keyed.items()}
        return parts if isinstance(like, dict) else type(like)(**parts)
    return jnp.zeros(like.shape, like.dtype) if given is None else given


def as_given(given: Any, slot: Slot) -> Any:
    """A new slot in the old one's containers: `optax.MultiSteps` selects between the two, leaf by leaf."""
    slot = slot._replace(state=lean(slot.state))
    if isinstance(given, Slot):
        return slot
    leaves, structure = named(given)
    new, _ = named(slot)
    return structure.unflatten([new[name] for name in leaves])


def check_leaves(leaves: dict[str, Any]) -> None:
    """Raise unless every leaf is an array, or None."""
    for name, W in leaves.items():
        if W is not None and not isinstance(W, ARRAYS) and not hasattr(W, "__jax_array__"):
            where = f"parameter {name!r}" if name else "the parameters"
            raise TypeError(f"{where} must be a JAX array of floats, got {brief(W)}: {PARTITION}")


def check_kind(state: Any) -> None:
    """Raise unless `state` is a state of this package."""
    if not hasattr(state, "count") or not hasattr(state, "slots"):
        raise TypeError(
            f"the state must be what this transformation's init(params) or update returned, got {brief(state)}: for a chain "
            "or inject_hyperparams pass the inner state; import_state takes over optax's"
        )


def slots_by_name(leaves: dict[str, Any], structure: Any, state: Any) -> dict[str, Any]:
    """The slot of each leaf.

    Raises:
        ValueError: the state has other leaves.
    """
    try:
        return dict(zip(leaves, structure.flatten_up_to(state.slots), strict=True))
    except (ValueError, TypeError) as error:
        raise ValueError(f"the state belongs to other parameters: {error}; call init again") from None


def check_slot(p: Parameter, slot: Any) -> None:
    """Raise unless a slot can be the parameter's. Containers of other libraries are checked only if they have our fields."""
    state: Any = getattr(slot, "state", None)
    parts: dict[str, Any] = state if isinstance(state, dict) and p.blocks != ("",) else {"": state}
    if all(hasattr(part, "_fields") for part in parts.values()):
        flat = {field_name(block, name): x for block, part in parts.items() for name, x in part._asdict().items()}
        check_state(p, flat, "give what this transformation's init returned; import_state takes over optax's")


class Transform:
    """The two functions of a `GradientTransformation`, over one assignment of rules."""

    def __init__(
        self,
        rule: Rule,
        vector_rule: Rule | None,
        layout: Any,
        default: DefaultLayout,
        b: Backend,
        how: Stacking = Stacking(),  # noqa: B008 - immutable
        sharding: Any = None,
        weight_decay_mask: Any = None,
    ) -> None:
        self.rule, self.vector_rule, self.layout, self.default = rule, vector_rule, layout, default
        self.b, self.how, self.sharding, self.weight_decay_mask = b, how, sharding, weight_decay_mask

    def assignment(self, leaves: dict[str, Any]) -> dict[str, Parameter]:
        """Which rule each parameter gets."""
        check_leaves(leaves)
        shapes = {name: tuple(W.shape) for name, W in leaves.items() if W is not None}
        return assign(shapes, self.rule, self.vector_rule, self.layout, self.default, self.weight_decay_mask)

    def explain(self, parameters: Mapping[str, Parameter]) -> str:
        """The table of these parameters."""
        follows = None if self.vector_rule is None else followed(self.rule, self.vector_rule)
        return table(parameters.values(), lambda p: None if p.rule.matrix else follows)

    def filled(self, p: Parameter, W: Any, slot: Any) -> Slot:
        """A parameter's slot with empty arrays for None, as rules expect it."""
        check_slot(p, slot)
        if isinstance(slot, Slot) and all(
            x is not None for x in jax.tree.leaves(slot.state, is_leaf=lambda x: x is None)
        ):
            return slot
        like = jax.eval_shape(lambda W: p.init(W, p.rule, self.b), jax.ShapeDtypeStruct(W.shape, W.dtype))
        return rebuilt(Slot(jnp.zeros((), jnp.int32), like), slot)

    def init(self, params: Params) -> RuleState:
        """The state before the first update."""
        leaves, structure = named(params)
        parameters, rules = self.assignment(leaves), ResolvedRules(0, self.b)
        warn_of_routes(self.rule, parameters, lambda: self.explain(parameters))
        slots: list[Slot | None] = []
        for name, W in leaves.items():
            if W is None:
                slots.append(None)
                continue
            W, p = jnp.asarray(W), parameters[name]
            check_array(name, W, self.b.xp)
            slots.append(Slot(jnp.zeros((), jnp.int32), lean(p.init(W, rules[p.rule, W], self.b))))
        return RuleState(jnp.zeros((), jnp.int32), structure.unflatten(slots))

    def update(self, updates: Params, state: Any, params: Params | None = None) -> tuple[Params, Any]:
        """The changes to add, in working precision (`optax.apply_updates` rounds once); None where there is no gradient."""
        if params is None:
            raise ValueError("the update depends on the parameters: call update(grads, state, params)")
        check_kind(state)
        leaves, structure = named(params)
        gradients, _ = named(updates)
        stray = next((name for name in gradients if name not in leaves), None)
        if stray is not None:
            raise ValueError(stray_gradient(stray, leaves))
        parameters, rules, b = self.assignment(leaves), ResolvedRules(state.count, self.b), watched(self.b)
        slots, steps = slots_by_name(leaves, structure, state), {}
        for name, G in gradients.items():
            if G is not None:
                W, p = jnp.asarray(leaves[name]), parameters[name]
                check_gradient(name, G, W, self.b.xp)
                steps[name] = Leaf(p, rules[p.rule, W], jnp.asarray(G), self.filled(p, W, slots[name]), W)
        done = advance_all(steps, jnp.asarray(state.count), b, self.how, self.sharding)
        deltas = structure.unflatten([done[name].delta if name in done else None for name in leaves])
        slots |= {name: as_given(slots[name], one.slot) for name, one in done.items()}
        if b.observer is not None:
            b.observer.update({name: one.seen for name, one in done.items() if one.seen is not None})
        return deltas, RuleState(state.count + 1, structure.unflatten(list(slots.values())))

    def observed(self, updates: Any, state: RuleState, params: Params) -> tuple[Any, RuleState, dict[str, Telemetry]]:
        """`update` and its telemetry."""
        with observe() as seen:
            return *self.update(updates, state, params), seen


def check_rules(rule: Any, vector_rule: Any, layout: Any) -> None:
    """Raise unless both are rules, the second for arrays of any shape, and the layout is one argument."""
    check_rule("deva_jax: rule", rule)
    check_vector_rule("deva_jax: vector_rule", vector_rule)
    for half in (rule, *([] if vector_rule is None else [vector_rule])):
        check_arrays("deva_jax", half, ARRAYS)
    if isinstance(layout, Mapping) and set(layout) == {"layout", "weight_decay_mask"}:
        raise TypeError(
            "deva_jax: layout must be a layout, got what routes(params) returned, which is two arguments: give **routes(params)"
        )


@answered("deva_jax.transform")
def transform(
    rule: Rule,
    *,
    vector_rule: Rule | None = None,
    vector_learning_rate: Any = None,
    layout: Any = None,
    weight_decay_mask: Any = None,
    compute_dtype: Any = "auto",
    default_layout: DefaultLayout = jax_layout,
    replacements: bool = True,
    platform: str | None = None,
    stack_sharding: Any = None,
) -> optax.GradientTransformation:
    """Any `deva_core` rule as an optax transformation.

    The update is the finished change and includes the learning rate. It is float32, or float64 for float64 parameters. You
    may donate parameters and state to the jitted step (`jax.jit(step, donate_argnums=…)`). Inside it, leaves of equal shape
    are stacked, so that many layers compile as fast as one.

    Args:
        rule: the rule for matrices. A vector rule (`AdamW`) takes every parameter.
        vector_rule: the rule for everything else: by default `DeVAVector()` with `DeVA`, otherwise `AdamW()`. Without an lr
            it uses the matrix rule's (number, schedule or injected array) times `rule.vector_lr_ratio`. An lr given here
            is used as it is.
        vector_learning_rate: the vector rule's lr, overriding `vector_rule`: a number, an array or a schedule.
        layout: how leaves form matrices: a pattern, a mapping by dotted path or a tree of patterns, or a function of
            path and shape. By default `weight` is (out, in), every other leaf is (in, out), and three axes raise an error.
            `routes(params)` makes a layout and a decay mask from the names of flax and equinox.
        weight_decay_mask: which leaves decay: a mapping by path or a tree of bools, or a function of path and shape. By
            default all decay as their rule says.
        compute_dtype: the dtype of the Newton–Schulz products: `"auto"` (the working dtype on CPUs, bfloat16 on
            accelerators), a dtype or its name. It never narrows float64.
        default_layout: the convention for leaves that `layout` does not name: a function of path and shape.
        replacements: False switches this backend's fast paths off.
        platform: where the step will run, if not on the default device (as with `jax.export`): `"cuda"`, `"tpu"`, ….
        stack_sharding: divides matrices among devices inside `jax.jit`: a `NamedSharding` of a first axis, such
            as `NamedSharding(mesh, PartitionSpec("data"))`, or the name of an axis of the mesh in use.

    Raises:
        ValueError: an option is outside its domain; in `init` and `update`: parameters, gradients, state or layouts do not
            belong together.
        TypeError: an argument has the wrong type or an unknown name; in `init`: a leaf is not an array of real floats.

    Example:
        >>> import jax.numpy as jnp, optax
        >>> from deva_core import Muon
        >>> from deva_jax import transform
        >>> params = {"kernel": jnp.ones((3, 4)), "bias": jnp.zeros(4)}
        >>> optimizer = transform(Muon(lr=0.1))
        >>> state = optimizer.init(params)
        >>> updates, state = optimizer.update(params, state, params)
        >>> optax.apply_updates(params, updates)["kernel"].shape
        (3, 4)
    """
    check_rules(rule, vector_rule, layout)
    check_default_layout("deva_jax: default_layout", default_layout)
    vector_rule = vector_half(rule, vector_rule, vector_learning_rate)
    platform = platform or jax.default_backend()
    b = backend(checked_compute_dtype(compute_dtype), replacements, platform)
    sharding, how = checked_stack_sharding(stack_sharding), Stacking(platform)
    functions = Placed(Transform(rule, vector_rule, layout, default_layout, b, how, sharding, weight_decay_mask))
    return optax.GradientTransformation(functions.init, functions.update)


@answered("deva_jax.explain")
def explain(
    params: Params,
    rule: Rule,
    *,
    vector_rule: Rule | None = None,
    vector_learning_rate: Any = None,
    layout: Any = None,
    weight_decay_mask: Any = None,
) -> str:
    """A table of every parameter: its layout, its rule, how far a step moves it, and why.

    Pass the same arguments as to `transform`. The learning rates are those of the first update. docs/routing.md explains the
    columns.

    Raises:
        ValueError: a parameter needs a layout, or an argument names a parameter that does not exist.
        TypeError: an argument has the wrong type or an unknown name.

    Example:
        >>> import jax.numpy as jnp
        >>> from deva_core import Muon
        >>> from deva_jax import explain
        >>> print(explain({"kernel": jnp.ones((3, 4)), "bias": jnp.zeros(4)}, Muon()))
        parameter  shape  layout  rule   lr    ratio  lr×ratio  factor  step    decay  why
        bias       4      -       AdamW  0.02  0.2    0.004     -       0.004   0.01   not a matrix
        kernel     3×4    in out  Muon   0.02  -      0.02      1.15    0.0115  0      named 'kernel'
    """
    check_rules(rule, vector_rule, layout)
    leaves, _ = named(params)
    vector_rule = vector_half(rule, vector_rule, vector_learning_rate)
    functions = Transform(rule, vector_rule, layout, jax_layout, backend(), weight_decay_mask=weight_decay_mask)
    return functions.explain(functions.assignment(leaves))
