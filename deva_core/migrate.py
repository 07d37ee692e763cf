"""Moving in and out: convert other implementations' state of one parameter to a rule's state, and back.

| source | what it holds | Muon | DeVA | DeVAVector | AdamW |
|---|---|---|---|---|---|
| `torch` | an average of gradients | in, out | | | |
| `keller` | an average; AdamW's moments | in, out | | | in, out |
| `moonlight` | a sum of gradients; AdamW's moments | in, out | | | in, out |
| `optax` | an average; AdamW's moments; one count for all | in, out | | | in, out |
| `adamw` | AdamW's moments | in | | | in, out |
| `deva-authors` | M in the basis, V or its marginals, L, R, Q_L, Q_R; of vectors two averages | in, out | in, out | in, out | |
| `soap` | M in the basis, moments of the entries of G', L, R, Q_L, Q_R | | in | | |

Arrays have the parameter's own shape; its layout makes matrices of them. docs/moving.md says what each move loses, and why
the others are refused.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from deva_core.adamw import AdamW
from deva_core.backend import Array, Backend, working_dtype
from deva_core.deva import DeVA
from deva_core.deva_state import SQUARES
from deva_core.deva_vector import DeVAVector
from deva_core.elementwise import gap, or_one
from deva_core.hyperparameter import hyperparameters
from deva_core.linalg import max_abs, norm, transpose
from deva_core.messages import brief
from deva_core.muon import Muon
from deva_core.parameter import Parameter, field_name
from deva_core.rule import Rule


class Peer(NamedTuple):
    """What a public implementation holds for one parameter."""

    fields: Mapping[str, Any]
    """Its state: arrays of the parameter's shape, lists of arrays, counts."""
    settings: Mapping[str, Any] = MappingProxyType({})
    """Its hyperparameters; the units of a sum depend on `momentum`, the age of AdamW's average on `betas`."""
    step: int | None = None
    """The steps made, where its state does not count them."""
    kind: str = ""
    """The name of its class, where that is known."""


class Format(NamedTuple):
    """How an implementation holds what an elementwise rule keeps."""

    names: Mapping[str, str]
    """From our state's fields to its own."""
    step: str | None = None
    """Its count of steps made."""
    form: str = "average"
    """Its momentum: an `"average"` or a `"sum"` of gradients, or `"adam"`: an average with a β of its own."""
    spare: tuple[str, ...] = ()
    """Fields that the rule has no place for."""


BUFFER, MOMENTS = {"momentum": "momentum_buffer"}, {"exp_avg": "exp_avg", "exp_avg_sq": "exp_avg_sq"}
FORMATS: Mapping[tuple[str, type[Rule]], Format] = {
    ("torch", Muon): Format(BUFFER),
    ("keller", Muon): Format(BUFFER),
    ("keller", AdamW): Format(MOMENTS, "step"),
    ("moonlight", Muon): Format(BUFFER, form="sum"),
    ("moonlight", AdamW): Format({"exp_avg": "moment1", "exp_avg_sq": "moment2"}, "step"),
    ("optax", Muon): Format({"momentum": "mu"}, "count"),
    ("optax", AdamW): Format({"exp_avg": "mu", "exp_avg_sq": "nu"}, "count"),
    ("adamw", Muon): Format({"momentum": "exp_avg"}, "step", "adam", ("exp_avg_sq", "max_exp_avg_sq")),
    ("adamw", AdamW): Format(MOMENTS, "step"),
    ("deva-authors", Muon): Format(BUFFER),
    ("deva-authors", DeVAVector): Format({"momentum": "momentum_buffer", "second_moment": "second_momentum_buffer"}),
    ("deva-authors", DeVA): Format({}, "step"),
    ("soap", DeVA): Format({}, "step"),
}
"""Every pair of an implementation and a rule between which state can move."""

SOURCES = tuple(dict.fromkeys(source for source, _ in FORMATS))
AVERAGED = {
    "DeVASchattenNorm": "momentum",
    "DeVASchattenNormSignStablization": "momentum",
    "DeVASchattenNormIns": "gradient",
}
"""For the authors' classes that keep all of V: whether it averages the momentum's or the gradient's row and column norms."""
SILENT = {"use_muon", "gamma", "precondition_frequency", "shampoo_beta"} | {
    f"second_moment_{what}_buffer" for what in ("grad", "momentum")
}
"""Fields that a run does not need to continue: labels, copies of settings, displays."""


def import_fields(
    source: str, peer: Peer, parameter: Parameter, rule: Rule, W: Array, b: Backend
) -> tuple[int, dict[str, Array]]:
    """`(step, state fields)` for a parameter, from what a public implementation holds for it.

    Args:
        source: which implementation: one of `SOURCES`.
        peer: what it holds. Nothing of it is written or kept.
        parameter, rule: how the parameter is optimised here; numeric hyperparameters may be callables.
        W: the parameter, of any library.

    Raises:
        ValueError: fields, shapes or meanings differ; the message says which.

    Example:
        >>> import numpy as np
        >>> from deva_core import Backend, Muon
        >>> from deva_core.migrate import Peer, import_fields
        >>> from deva_core.parameter import assign
        >>> W, rule = np.zeros((2, 3)), Muon.dialect("moonlight", momentum=0.75)
        >>> peer = Peer({"momentum_buffer": np.ones((2, 3))}, step=7)
        >>> step, state = import_fields("torch", peer, assign({"W": W.shape}, rule)["W"], rule, W, Backend.of(W))
        >>> step, state["momentum"][0, 0].item()  # an average became a sum: over 1 - 0.75
        (7, 4.0)
    """
    form = format_of(source, parameter, rule)
    check_fields(source, form, peer, parameter, rule)
    step, dtype = steps_of(source, form, peer, parameter, rule), working_dtype(W.dtype, b.xp)
    move = Move(source, form, peer, step, parameter, rule.at(step, lambda x: b.xp.astype(x, dtype)), dtype, b)
    make = deva_state if isinstance(rule, DeVA) else elementwise_state
    flat = {}
    for block, part in move.split(W).items():
        found = make(move, block)
        for name, live in move.rule.init(part, b)._asdict().items():
            check_shape(f"{source!r}: {name} of {parameter.name!r}", found[name], live.shape)
            flat[field_name(block, name)] = found[name]
    return step + is_lagged(rule), flat


def export_fields(
    target: str, parameter: Parameter, rule: Rule, step: int, flat: Mapping[str, Array], settings: Any, b: Backend
) -> dict[str, Any]:
    """What a public implementation would hold for a parameter: the inverse of `import_fields`.

    Args:
        target: which implementation: one of `SOURCES`.
        parameter, rule: how the parameter is optimised here.
        step, flat: its step count and state fields.
        settings: the implementation's hyperparameters (`Peer.settings`).

    Raises:
        ValueError: its format cannot hold this state; the message says why.
    """
    form = format_of(target, parameter, rule)
    if form.spare or target == "soap":
        raise ValueError(
            f"{parameter.name!r} cannot move from {type(rule).__name__} to {target!r}: its second moment, the average "
            "of squared gradients, is not in our state, and a zero second moment would make the next steps far too long"
        )
    move = Move(target, form, Peer({}, settings), step, parameter, rule.at(step), None, b)
    names = rule.State._fields
    states = {block: {name: flat[field_name(block, name)] for name in names} for block in parameter.blocks}
    true = {block: in_true_units(S, rule) for block, S in states.items()}
    if isinstance(rule, DeVA):
        return deva_fields(move, true[""])
    factor, out = 1 / momentum_factor(move), {form.step: step} if form.step else {}
    for ours, theirs in form.names.items():
        out[theirs] = parameter.whole({block: S[ours] * factor for block, S in true.items()}, b)
    return out


class Move(NamedTuple):
    """One parameter on its way."""

    source: str
    form: Format
    peer: Peer
    step: int
    """The steps that the peer counts."""
    parameter: Parameter
    rule: Any
    """With its callables resolved."""
    dtype: Any
    b: Backend

    def cast(self, X: Array) -> Array:
        """A copy in the parameter's working dtype."""
        return self.b.xp.astype(X, self.dtype) * 1.0

    def split(self, X: Array) -> dict[str, Array]:
        """An array of the parameter's shape as matrices by block."""
        X, layout = self.cast(X), self.parameter.layout
        return {"": X} if layout is None else layout.split(X, self.b)

    def sides(self, name: str) -> list[Any]:
        """A pair of the peer's, rows first: of our matrix."""
        pair = list(self.peer.fields[name])
        return pair[::-1] if is_transposed(self) else pair


def is_lagged(rule: Any) -> bool:
    """Whether a first call only builds DeVA's bases, so that our count is one ahead of the authors'."""
    return isinstance(rule, DeVA) and rule.timing == "lagged"


def format_of(source: str, parameter: Parameter, rule: Rule) -> Format:
    """The format between an implementation and a rule (or the rule that it subclasses)."""
    if source not in SOURCES:
        raise ValueError(f"source or target {brief(source)} is unknown; there are {', '.join(SOURCES)}")
    for cls in type(rule).__mro__:
        if (source, cls) in FORMATS:
            return FORMATS[source, cls]
    rules = " or ".join(cls.__name__ for name, cls in FORMATS if name == source)
    raise ValueError(
        f"{parameter.name!r} is optimised by {type(rule).__name__}, but {source!r} holds no such state; "
        f"state can move between it and {rules}"
    )


def sources_of(found: set[str], rule: Rule) -> list[str]:
    """The implementations whose state of this rule has these fields."""
    return [
        source
        for (source, cls), form in FORMATS.items()
        if isinstance(rule, cls)
        and form.names
        and found - SILENT - set(form.spare) == {*form.names.values(), *([form.step] if form.step else [])}
    ]


def check_fields(source: str, form: Format, peer: Peer, parameter: Parameter, rule: Rule) -> None:
    """Raise unless the peer holds what its format says, in the parameter's shape."""
    expected = {*form.names.values(), *([form.step] if form.step else [])}
    if isinstance(rule, DeVA):
        marginals = rule.factored and source == "deva-authors"
        expected |= {"exp_avg", "exp_avg_sq_marg" if marginals else "exp_avg_sq", "GG", "Q"}
    found = set(peer.fields) - SILENT - set(form.spare)
    if found != expected:
        raise ValueError(
            f"{source!r}: the state of {parameter.name!r} has the fields {sorted(found)}, "
            f"but {type(rule).__name__} needs {sorted(expected)}{hint_for(found, rule)}"
        )
    for name in expected - {form.step, "GG", "Q", "exp_avg_sq_marg"}:
        check_shape(f"{source!r}: {name} of {parameter.name!r}", peer.fields[name], parameter.shape)


def hint_for(found: set[str], rule: Rule) -> str:
    """The end of the error: whose fields these are."""
    if found >= {*rule.State._fields}:
        return "; these are our own fields: use load_state_dict, load or the host's step"
    sources = ["adamw"] if found == {"count", "mu", "nu"} else sources_of(found, rule)  # JAX's word for optax.adamw
    return f"; they are those of source {' or '.join(map(repr, sources))}" if sources else ""


def check_shape(what: str, x: Array, shape: tuple[int, ...]) -> None:
    """Raise unless an array has this shape."""
    if tuple(x.shape) != tuple(shape):
        raise ValueError(f"{what} has shape {tuple(x.shape)}, expected {tuple(shape)}")


def steps_of(source: str, form: Format, peer: Peer, parameter: Parameter, rule: Rule) -> int:
    """The steps made: the peer's count, or the one given, or 0 where nothing depends on it."""
    if form.step:
        return int(peer.fields[form.step])
    if peer.step is not None:
        return peer.step
    schedules = [name for name in hyperparameters(rule) if callable(getattr(rule, name))]
    corrected = getattr(rule, "momentum_form", "") == "corrected" or getattr(rule, "bias_correction", False)
    if schedules or corrected:
        what = f"the schedule of {', '.join(schedules)}" if schedules else "the bias correction"
        raise ValueError(f"{source!r} does not count steps, and {what} of {parameter.name!r} needs them: give step=")
    return 0


def elementwise_state(move: Move, block: str) -> dict[str, Array]:
    """The state of a block, for a rule whose fields have the parameter's shape."""
    factor, b = momentum_factor(move), move.b
    S = {ours: move.split(move.peer.fields[theirs])[block] * factor for ours, theirs in move.form.names.items()}
    if not isinstance(move.rule, DeVAVector):
        return S
    size = b.xp.maximum(max_abs(S["momentum"], b), b.xp.sqrt(max_abs(S["second_moment"], b)))
    return in_units_of(size, S, move.rule, b)


def momentum_factor(move: Move) -> Any:
    """What a peer's momentum is multiplied by to be Muon's; 1 for every other rule.

    A sum is an average over 1 - β. AdamW's average and Muon's both start at zero; after t steps they have gathered
    the weights 1 - β₁ᵗ and 1 - βᵗ.
    """
    rule, settings, factor = move.rule, move.peer.settings, 1.0
    if not isinstance(rule, Muon):
        return factor
    if move.form.form == "sum":
        factor = 1 - settings.get("momentum", rule.momentum)
    if move.form.form == "adam" and move.step:
        if "betas" not in settings:
            raise ValueError(f"{move.source!r}: to convert its average, give its betas in Peer.settings")
        factor = gap(rule.momentum, move.step, None, move.b) / gap(settings["betas"][0], move.step, None, move.b)
    return factor / (1 - rule.momentum) if rule.momentum_form == "sum" else factor


def squares(rule: Rule) -> tuple[str, ...]:
    """A state's fields in units of `scale`²."""
    return SQUARES if isinstance(rule, DeVA) else ("second_moment",) if isinstance(rule, DeVAVector) else ()


def in_units_of(size: Array, S: dict[str, Array], rule: Any, b: Backend) -> dict[str, Array]:
    """A state in units of a bound of its gradients; of 1 where an absolute eps needs true units."""
    scale = size if rule.eps_mode == "relative" else b.xp.ones_like(size)
    unit = or_one(scale, b)
    return S | {name: S[name] / unit / unit for name in squares(rule)} | {"scale": scale}


def in_true_units(S: dict[str, Array], rule: Rule) -> dict[str, Array]:
    """The inverse of `in_units_of`."""
    return S | {name: S[name] * S["scale"] * S["scale"] for name in squares(rule)}


def deva_state(move: Move, block: str) -> dict[str, Array]:
    """DeVA's state: in the authors' classes and in SOAP, momentum and second moments live in the basis, as ours do."""
    M, b = move.split(move.peer.fields["exp_avg"])[block], move.b
    L, R = (side(x, M, move) for x in move.sides("GG"))
    QL, QR = (side(x, M, move) for x in move.sides("Q"))
    own = {"momentum": M, "row_covariance": L, "column_covariance": R, "row_basis": QL, "column_basis": QR}
    moments = soap_moments if move.source == "soap" else author_moments
    size = max_abs(M, b)
    for C in (L, R):
        size = b.xp.maximum(size, b.xp.sqrt(max_abs(C, b))) if C.shape[-1] else size
    return in_units_of(size, move.rule.init(M, b)._asdict() | own | moments(move, M), move.rule, b)


def is_transposed(move: Move) -> bool:
    """Whether the parameter is stored (in, out): the peer's rows are then our columns."""
    p = move.parameter
    order = p.layout.plan(p.shape).order if p.layout else ()
    if len(p.shape) != 2 or p.blocks != ("",) or order not in ((0, 1), (1, 0)):
        raise ValueError(
            f"{move.source!r} keeps one basis for each axis of {p.name!r}, of shape {p.shape}; "
            f"with the layout {str(p.layout)!r} it is not one matrix of two axes"
        )
    return order == (1, 0)


def side(x: Any, like: Array, move: Move) -> Array:
    """A covariance or a basis; an empty list, which peers keep for a long side, as an empty array."""
    return move.cast(x) if len(x) else move.b.zeros((0, 0), like)


def author_moments(move: Move, M: Array) -> dict[str, Array]:
    """The authors' second moments, which are ours: V, or the marginals of G'²."""
    rule, kind = move.rule, move.peer.kind or "the factored class"
    averaged = "gradient" if rule.factored else AVERAGED.get(kind, rule.statistics)
    if averaged != rule.statistics:
        raise ValueError(
            f"the second moments of {move.parameter.name!r} are the {averaged}'s in {kind}, "
            f"but here statistics={rule.statistics!r}"
        )
    if not rule.factored:
        return {"second_moment": move.split(move.peer.fields["exp_avg_sq"])[""]}
    rows, columns = (move.cast(x) for x in move.sides("exp_avg_sq_marg"))
    if is_transposed(move):
        rows, columns = transpose(rows, move.b), transpose(columns, move.b)
    return {"row_second_moment": rows, "column_second_moment": columns}


def soap_moments(move: Move, M: Array) -> dict[str, Array]:
    """Second moments of DeVA from SOAP's, which are of the entries of G'.

    Their row and column sums are the marginals of the gradient, exactly; the root of their product bounds the average
    of r c. Of the momentum's norms SOAP knows nothing: V starts as if they had always been what they are, so Γ at 1.
    """
    V, rule, b = move.split(move.peer.fields["exp_avg_sq"])[""], move.rule, move.b
    if rule.statistics == "gradient":
        rows, columns = b.xp.sum(V, axis=-1, keepdims=True), b.xp.sum(V, axis=-2, keepdims=True)
    else:
        weight = gap(rule.beta2, move.step, M, b) if rule.bias_correction else 1.0
        rows, columns = weight * norm(M, b, axis=-1) ** 2, weight * norm(M, b, axis=-2) ** 2
    if rule.factored:
        return {"row_second_moment": rows, "column_second_moment": columns}
    return {"second_moment": b.xp.sqrt(rows) * b.xp.sqrt(columns)}


def deva_fields(move: Move, S: dict[str, Array]) -> dict[str, Any]:
    """The authors' state of DeVA, from ours in true units. Their `step` counts from the second call."""
    rule, turned, b = move.rule, is_transposed(move), move.b
    order = ("column", "row") if turned else ("row", "column")
    marginals = [transpose(S[f"{s}_second_moment"], b) if turned else S[f"{s}_second_moment"] for s in order]
    moments: dict[str, Any] = {"exp_avg_sq_marg": marginals}
    if not rule.factored:
        moments = {"exp_avg_sq": move.parameter.whole({"": S["second_moment"]}, b)}
    covariances, bases = ([S[f"{s}_{kind}"] for s in order] for kind in ("covariance", "basis"))
    return {
        "step": move.step - is_lagged(rule),
        "exp_avg": move.parameter.whole({"": S["momentum"]}, b) * 1.0,
        **moments,
        "GG": [C if C.shape[-1] else [] for C in covariances],
        "Q": [Q * 1.0 if Q.shape[-1] else [] for Q in bases],
        "precondition_frequency": rule.precondition_frequency,
        "shampoo_beta": rule.beta2,
    }
