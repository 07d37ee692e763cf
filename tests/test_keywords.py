"""What other libraries' keywords are answered with: the table, and the signatures that it is about."""

import copy
import dataclasses
import inspect
import pickle
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

import deva_core as core
import deva_numpy
from deva_core import (
    DeVAVector,
    Muon,
    Optimizer,
    Rule,
    hyper,
    hyperparameters,
)
from deva_core.keywords import FOREIGN, POLICY
from deva_core.messages import answer_for, call_of, named_in
from tests.mistakes.in_jax import (
    tree,
)
from tests.mistakes.in_torch import (
    grouped,
    muon,
)

TORCH = bool(find_spec("torch"))
if TORCH:
    import torch

    import deva_torch
JAX = bool(find_spec("jax"))
if JAX:
    import optax

    import deva_jax

KELLER = {"lr", "weight_decay", "momentum", "nesterov", "ns_steps", "rank", "world_size", "use_muon", "betas", "eps"}
MOONLIGHT = {"lr", "wd", "muon_params", "momentum", "nesterov", "ns_steps", "adamw_params", "adamw_betas", "adamw_eps"}
"""Of classes that are in no package index: their repositories' signatures, and the keys of Keller Jordan's groups."""


def ours():
    """Every function that takes keywords: what it accepts, by its name."""
    found = {rule.__name__: hyperparameters(rule) for rule in core.RULES}
    kinds = [Optimizer, deva_numpy.Optimizer]
    if TORCH:
        kinds += [getattr(deva_torch, n) for n in ("Muon", "AdaGO", "DeVA", "DeVAVector", "AdamW", "RuleOptimizer")]
    found |= {f"{kind.__module__}.{kind.__name__}": call_of(kind.__init__, True).keywords for kind in kinds}
    if JAX:
        factories = [getattr(deva_jax, n) for n in ("muon", "adago", "deva", "deva_vector", "adamw", "transform")]
        found |= {f"deva_jax.{factory.__name__}": call_of(factory).keywords for factory in factories}
    return {name: set(accepted) for name, accepted in found.items()}


def peers():
    """`(their name, their keywords, ours)` of each peer that is installed, and of those that cannot be."""
    pairs = []
    if TORCH:
        pairs += [("Keller Jordan", KELLER, deva_torch.Muon), ("Moonlight", MOONLIGHT, deva_torch.Muon)]
        pairs += [
            (kind.__name__, kind, getattr(deva_torch, kind.__name__)) for kind in (torch.optim.Muon, torch.optim.AdamW)
        ]
    if TORCH and find_spec("pytorch_optimizer"):
        import pytorch_optimizer

        pairs += [(f"kozistr's {n}", getattr(pytorch_optimizer, n), getattr(deva_torch, n)) for n in ("Muon", "AdaGO")]
    if JAX:
        pairs += [
            ("optax.contrib.muon", optax.contrib.muon, deva_jax.muon),
            ("optax.adamw", optax.adamw, deva_jax.adamw),
        ]
    return pairs


@pytest.mark.parametrize("pair", peers(), ids=lambda pair: pair[0])
def test_every_keyword_of_a_peer_is_taken_or_answered(pair):
    _, theirs, here = pair
    if not isinstance(theirs, set):
        parameters = inspect.signature(theirs).parameters.values()
        theirs = {p.name for p in parameters if p.kind != p.VAR_KEYWORD}
    accepted = call_of(here.__init__, True).keywords if isinstance(here, type) else call_of(here).keywords
    bare = {keyword for keyword in theirs if keyword not in accepted and answer_for(keyword, accepted) is None}
    assert theirs and not bare


@pytest.mark.skipif(not (TORCH and JAX), reason="the table speaks of both")
def test_the_table_names_no_keyword_of_ours_that_does_not_exist():
    everywhere = set.union(*ours().values())
    rules = {rule.__name__: set(hyperparameters(rule)) for rule in core.RULES}
    for keyword, (_, answers) in FOREIGN.items():
        for answer in answers:
            assert set(named_in(answer)) <= everywhere, (keyword, answer)
            for rule, arguments in re.findall(r"\b([A-Z]\w+)\(([^()]*)\)", answer):
                assert set(re.findall(r"(\w+)=", arguments)) <= rules[rule], (keyword, answer)


@pytest.mark.skipif(not (TORCH and JAX), reason="the table speaks of both")
def test_every_answer_of_the_table_is_given_by_some_function():
    for keyword, (_, answers) in FOREIGN.items():
        given = {answer_for(keyword, accepted) for accepted in ours().values() if keyword not in accepted}
        unheard = [answer for answer in answers if not any(said and said.endswith(answer) for said in given)]
        assert not unheard, keyword


def test_every_policy_is_in_the_table():
    policies = {name for rule in core.RULES for name, declared in hyperparameters(rule).items() if declared.policy}
    assert policies and all(FOREIGN[name].answers == (POLICY,) for name in policies)


@pytest.mark.skipif(not TORCH, reason="torch's signatures")
def test_torchs_classes_take_params_and_lr_by_position_and_adamw_as_torchs():
    def positional(kind):
        kinds = inspect.signature(kind).parameters.values()
        return [p.name for p in kinds if p.kind == p.POSITIONAL_OR_KEYWORD]

    for name in ("Muon", "AdaGO", "DeVA", "DeVAVector"):
        assert positional(getattr(deva_torch, name)) == ["params", "lr"]
    assert positional(deva_torch.AdamW) == positional(torch.optim.AdamW)[:5]


OURS = {"deva_core", "deva_jax", "deva_torch", "deva_core's dialects", "the hosts", "Muon", "JAX", "torch"}


def test_the_page_about_moving_lists_every_keyword_of_others():
    page = (Path(__file__).parent.parent / "docs" / "moving.md").read_text(encoding="utf-8")
    foreign = {keyword: entry for keyword, entry in FOREIGN.items() if entry.whose not in (*OURS, "")}
    rows = [f"| `{keyword}` | {whose} | {'; or '.join(answers)} |" for keyword, (whose, answers) in foreign.items()]
    assert "| theirs | whose | here |\n|---|---|---|\n" + "\n".join(rows) + "\n\n" in page


WARNED = {
    "learning_rate": "here it is lr=",
    "momentun": "did you mean 'momentum'?",
    "wd": "here it is weight_decay=",
    "adamw_lr": '"rule": AdamW(lr=…)',
    "betas": '"rule": AdamW(beta1=…, beta2=…)',
    "adjust_lr_fn": "here it is scale=",
    "ns_method": "docs/moving.md",
    "vector_rule": "an argument of the optimizer",
    "state_dtype": "an argument of the optimizer",
}


@pytest.mark.skipif(not TORCH, reason="torch's groups")
@pytest.mark.parametrize("key", WARNED)
def test_a_groups_key_that_nobody_reads_is_warned_of(key):
    with pytest.warns(UserWarning, match=f"a param group has '{key}'.*{re.escape(WARNED[key])}"):
        grouped(**{key: (0.9, 0.9)})


@pytest.mark.skipif(not TORCH, reason="torch's groups")
@pytest.mark.parametrize(
    "key", ["lr_scale", "max_momentum", "base_momentum", "algorithm", "weight_decay_mult", "max_lr"]
)
def test_a_key_of_the_users_own_is_let_be(key):
    assert grouped(**{key: 1}).param_groups[0][key] == 1


@pytest.mark.skipif(not TORCH, reason="torch's groups")
def test_groups_of_ours_make_an_optimizer_again():
    groups = [{**group} for group in muon().param_groups]
    assert deva_torch.Muon(groups).param_groups[0]["lr"] == 0.02


@dataclasses.dataclass(frozen=True)
class Positional(Rule):
    """A user's rule whose hyperparameter may come by position."""

    lr: float = hyper(0.1, ge=0)


class Written(Positional):
    """A user's rule with an `__init__` of its own."""

    def __init__(self, rate, **others):
        super().__init__(lr=rate)
        assert set(others) <= {"note"}


def test_users_rules_keep_their_own_ways_to_be_made():
    assert Written(0.3).lr == Written(rate=0.3, note="x").lr == 0.3
    assert Positional(lr=0.2) == dataclasses.replace(Positional(), lr=0.2)
    for rule in (Muon(lr=0.1), DeVAVector(beta1=0.5), Written(0.3)):
        assert copy.copy(rule) == copy.deepcopy(rule) == pickle.loads(pickle.dumps(rule)) == rule
    with pytest.raises(TypeError, match="Positional got an unexpected keyword argument 'learning_rate'"):
        Positional(learning_rate=0.1)


@pytest.mark.skipif(not JAX, reason="optax")
def test_signatures_are_seen_through():
    assert list(inspect.signature(deva_jax.muon).parameters)[:2] == ["learning_rate", "momentum"]
    state = optax.inject_hyperparams(deva_jax.muon, static_args=("ns_steps",))(learning_rate=0.1, ns_steps=3).init(
        tree()
    )
    assert "learning_rate" in state.hyperparams and "momentum" in state.hyperparams
    assert pickle.loads(pickle.dumps(deva_jax.muon)) is deva_jax.muon
