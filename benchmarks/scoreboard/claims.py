"""What a peer claims to be: one of our rules with a dialect's policies, and the hyperparameters that the peer has.

A claim is a rule of its own, so that every law draws its cases inside it, and the oracle computes in its arithmetic.
"""

from dataclasses import dataclass, field, make_dataclass, replace
from typing import Any, ClassVar, NamedTuple

from deva_conformance.laws import NotSupported
from deva_core import JORDAN, AdaGO, Muon, Rule, hyper, hyperparameters

NAMESPACE = __name__


def claim(name: str, rule: type[Rule], fields: dict[str, Any], **supports: tuple) -> type[Rule]:
    """A rule whose defaults are `fields`, and the first values of `supports`, beyond which a peer has none."""
    known = hyperparameters(rule)
    defaults = {**fields, **{key: values[0] for key, values in supports.items()}}
    made = [
        (key, Any, field(default=value, metadata={"hyper": replace(known[key], default=value)}))
        for key, value in defaults.items()
    ]
    space = {
        "DIALECTS": {},
        "supports": supports,
        "__module__": NAMESPACE,
        "__qualname__": name,
        "__doc__": rule.__doc__,
    }
    return make_dataclass(name, made, bases=(rule,), frozen=True, kw_only=True, repr=False, namespace=space)


NEWTON_SCHULZ = {"ns_coefficients": (JORDAN,), "ns_steps": (5, 3)}
ONLY_ITS_RATE = {"rms": (0.2,)}

TorchMuon = claim(
    "TorchMuon", Muon, Muon.DIALECTS["torch"], scale=("original", "rms"), **NEWTON_SCHULZ, **ONLY_ITS_RATE
)
TimmMuon = claim(
    "TimmMuon",
    Muon,
    {"ns_normalization": "clamp"},
    scale=("original", "rms", "spectral"),
    **NEWTON_SCHULZ,
    **ONLY_ITS_RATE,
)
OptaxMuon = claim("OptaxMuon", Muon, Muon.DIALECTS["optax"], scale=("original", "rms"), **NEWTON_SCHULZ)
KerasMuon = claim("KerasMuon", Muon, Muon.DIALECTS["moonlight"], scale=("rms", "none"), **NEWTON_SCHULZ)
MlxMuon = claim(
    "MlxMuon", Muon, Muon.DIALECTS["keller"], scale=("original",), weight_decay=(0.0,), **NEWTON_SCHULZ, **ONLY_ITS_RATE
)
"""Its decay is documented as an L2 penalty: none is claimed to be decoupled."""
TinygradMuon = claim(
    "TinygradMuon",
    Muon,
    {"momentum_form": "sum", "ns_normalization": "add"},
    scale=("none",),
    momentum=(0.95, 0.5, 0.9375),
    **NEWTON_SCHULZ,
    **ONLY_ITS_RATE,
)
"""Where its momentum is 0, it keeps no state to compare."""
YOU_FIVE = (
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
)
"""HeavyBall's coefficients (heavyball/utils.py, zeropower_via_newtonschulz5)."""
HeavyballMuon = claim(
    "HeavyballMuon",
    Muon,
    {"momentum_form": "sum", "ns_normalization": "clamp"},
    scale=("original",),
    ns_coefficients=(YOU_FIVE,),
    ns_steps=(5,),
    **ONLY_ITS_RATE,
)
AS_KOZISTR = AdaGO.DIALECTS["pytorch-optimizer"]
PaperAdaGO = claim(
    "PaperAdaGO",
    AdaGO,
    {**AS_KOZISTR, "accumulator_root": True},
    scale=("original", "rms"),
    **NEWTON_SCHULZ,
    **ONLY_ITS_RATE,
)
"""pytorch_optimizer's AdaGO in everything but one: the step divides by v, as the paper has it."""
KozistrAdaGO = claim("KozistrAdaGO", AdaGO, AS_KOZISTR, scale=("original", "rms"), **NEWTON_SCHULZ, **ONLY_ITS_RATE)


@dataclass(frozen=True, kw_only=True, repr=False)
class Soap(Rule):
    """SOAP (arXiv 2409.11321), which is no rule here: what the laws without an oracle need to know of it."""

    supports: ClassVar = {}

    lr: Any = hyper(3e-3, ge=0)
    weight_decay: Any = hyper(0.01, ge=0)

    class State(NamedTuple):
        """Adam's moments, in the eigenbases."""

        exp_avg: Any
        exp_avg_sq: Any


def refuse_callables(rule: Rule) -> None:
    """The kit's schedules are callables of the update count; a peer has its framework's own."""
    if any(callable(getattr(rule, name)) for name in hyperparameters(rule)):
        raise NotSupported("no callable hyperparameters")
