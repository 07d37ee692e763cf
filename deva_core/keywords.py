"""Other implementations' keywords, each with ours.

An answer names our keywords as `name=`. It applies where the called function takes all of them; keywords inside
parentheses, as in `vector_rule=AdamW(lr=…)`, are that rule's. The first answer that applies counts.
"""

from collections.abc import Mapping
from typing import NamedTuple

TORCH, OPTAX, KELLER, KOZISTR, MOONLIGHT = (
    "torch.optim.Muon",
    "optax.contrib.muon",
    "Keller Jordan's Muon",
    "pytorch_optimizer's Muon",
    "Moonlight's Muon",
)
ADAM, AUTHORS = "torch.optim.AdamW", "the DeVA authors' classes and SOAP"


class Foreign(NamedTuple):
    """A keyword of other implementations: whose it is, and its equivalents here."""

    whose: str
    answers: tuple[str, ...]


def foreign(whose: str, *answers: str) -> Foreign:
    """An entry of the table."""
    return Foreign(whose, answers)


def vector_half(ours: str, whose: str = f"{KELLER} and {KOZISTR}") -> Foreign:
    """A keyword of another optimizer's AdamW half: an argument of the vector rule, or of our AdamW itself."""
    values = "beta1=…, beta2=…" if ours == "betas" else f"{ours}=…"
    others = {"lr": ("learning_rate=",), "beta1": ("betas=",), "beta2": ("betas=",), "betas": ("beta1= and beta2=",)}
    return foreign(whose, f"vector_rule=AdamW({values})", f"{ours}=", *others.get(ours, ()))


DTYPES = 'state_dtype="bfloat16"'
EPS = "no eps is needed: the momentum is divided by its largest entry before Newton–Schulz; dialects that need one have it"
MASK = 'in torch a param group with "weight_decay": 0.0, in JAX transform(rule, weight_decay_mask=…)'
SCALE = 'scale="original" or scale="rms"'
DECOUPLED = "decay is always decoupled"
MOMENTUM_ONLY = "no second moment is kept"
STACKED = "parameters of equal shape step in stacks already"
VECTOR_LR = "vector_learning_rate=", "learning_rate=", "lr="
POLICY = 'a policy of dialects: pass a preset such as Muon.dialect("torch") to any host (docs/dialects.md)'
"""The answer for hyperparameters that only dialects set."""

FOREIGN: Mapping[str, Foreign] = {
    # Muons: torch.optim's, optax's, Keller Jordan's, pytorch_optimizer's, Moonlight's.
    "adjust_lr_fn": foreign(TORCH, SCALE),
    "eps": foreign(f"{TORCH} and {OPTAX}", "min_step= where it is pytorch_optimizer's AdaGO's", EPS),
    "ns_coeffs": foreign(f"{OPTAX} and {KOZISTR}", "ns_coefficients="),
    "beta": foreign(OPTAX, "momentum=", "betas=", "beta1="),
    "mu_dtype": foreign(OPTAX, DTYPES, "momentum is kept in float32, or in float64 for float64 parameters"),
    "adaptive": foreign(OPTAX, "no such variant; AdaGO and DeVA are the adaptive rules"),
    "preconditioning": foreign(OPTAX, 'a policy: Muon.dialect("deva-authors") divides by a Schatten norm'),
    "adam_b1": vector_half("beta1", OPTAX),
    "adam_b2": vector_half("beta2", OPTAX),
    "adam_eps_root": foreign(OPTAX, "no such term: AdamW adds eps to the root"),
    "adam_weight_decay": vector_half("weight_decay", OPTAX),
    "adam_learning_rate": foreign(OPTAX, *VECTOR_LR),
    "vector_lr": foreign("", *VECTOR_LR),
    "aux_lr": foreign("", *VECTOR_LR),
    "muon_weight_dimension_numbers": foreign(OPTAX, 'layout=, a pattern such as "in out" for each leaf (docs/layouts.md)'),
    "weight_dimension_numbers": foreign(OPTAX, 'layout=, a pattern such as "in out" for each leaf (docs/layouts.md)'),
    "consistent_rms": foreign(OPTAX, 'scale="rms" and rms='),
    "use_adjusted_lr": foreign(KOZISTR, SCALE),
    "weight_decouple": foreign(KOZISTR, DECOUPLED),
    "ns_method": foreign(KOZISTR, "the cheaper form is chosen for each shape (plan() shows it)"),
    "ns_reset_steps": foreign(KOZISTR, "no such choice: the form is chosen for each shape (plan() shows it)"),
    "adamw_params": foreign(f"{KELLER} and {MOONLIGHT}", 'layout=, with "vector" for each parameter of the vector rule'),
    "muon_params": foreign(MOONLIGHT, "params=, all of them: layouts decide what is a matrix"),
    "adamw_lr": vector_half("lr"),
    "adamw_betas": vector_half("betas"),
    "adamw_eps": vector_half("eps"),
    "adamw_wd": vector_half("weight_decay"),
    "use_muon": foreign(f"{KELLER} and {KOZISTR}", 'in a param group, a "rule" of its own: {"params": …, "rule": AdamW(lr=…)}'),
    "rank": foreign(KELLER, "process_group=", "stack_sharding=", "an argument of the host, not of the rule"),
    "world_size": foreign(KELLER, "process_group=", "stack_sharding=", "an argument of the host, not of the rule"),
    "wd": foreign(f"{MOONLIGHT}", "weight_decay="),
    "gamma": foreign("pytorch_optimizer's AdaGO", "max_norm="),
    "v": foreign("pytorch_optimizer's AdaGO", "initial_accumulator_value="),
    # AdamW: torch.optim's, optax's.
    "betas": foreign(
        ADAM, "beta1= and beta2=", "momentum= for matrices, vector_rule=AdamW(beta1=…, beta2=…) for the rest", "momentum="
    ),
    "b1": foreign("optax.adamw", "beta1=", "betas=", "momentum="),
    "b2": foreign("optax.adamw", "beta2=", "betas=", "vector_rule=AdamW(beta2=…)", MOMENTUM_ONLY),
    "beta1": foreign("deva_core", "betas=(beta1, beta2)", "momentum="),
    "beta2": foreign("deva_core", "betas=(beta1, beta2)", "vector_rule=AdamW(beta2=…)", MOMENTUM_ONLY),
    "nesterov": foreign("optax.adamw", "no such variant of AdamW; the other rules have it"),
    "eps_root": foreign("optax.adamw", "no such term: eps is added to the root"),
    "mask": foreign("optax.adamw", "weight_decay_mask=", MASK),
    "weight_decay_mask": foreign(OPTAX, MASK),
    "amsgrad": foreign(ADAM, "no such variant"),
    "differentiable": foreign(ADAM, "steps are not differentiated"),
    "fused": foreign(ADAM, STACKED),
    "foreach": foreign(ADAM, STACKED),
    "capturable": foreign(ADAM, "only torch's optimizers have it"),
    "maximize": foreign(ADAM, "in JAX put optax.scale(-1.0) before it in a chain"),
    "decoupled_weight_decay": foreign(ADAM, DECOUPLED),
    "correct_bias": foreign("pytorch_optimizer's SOAP", "bias_correction="),
    "shampoo_beta": foreign(AUTHORS, "betas=, whose second value serves both", "beta2=, which serves both"),
    "merge_dims": foreign(AUTHORS, "layout=, which makes matrices of other shapes"),
    "momentum": foreign("Muon", "betas=, as the first value", "beta1="),
    # Habits, and keywords of ours in the wrong place.
    "learning_rate": foreign("JAX", "lr="),
    "lr": foreign("torch", "learning_rate=", "it belongs to the rule, as in Muon(lr=0.02)"),
    "params": foreign("torch", "parameters are given to init and update"),
    "vector_rule": foreign("the hosts", "the optimizer's argument, not the rule's"),
    "layout": foreign("the hosts", "an argument of optimizers with a matrix rule"),
    "compute_dtype": foreign("the hosts", "an argument of optimizers with a matrix rule"),
    "state_dtype": foreign("deva_torch", "momentum is kept in float32, or in float64 for float64 parameters"),
    "rounding": foreign("deva_torch", "parameters are rounded to the nearest here"),
    "process_group": foreign("deva_torch", "stack_sharding=", "an argument of the host, not of the rule"),
    "stack_sharding": foreign("deva_jax", "process_group=", "an argument of the host, not of the rule"),
    **{
        name: foreign("deva_core's dialects", POLICY)
        for name in (
            *("momentum_form", "ns_normalization", "ns_eps", "accumulator_root", "floor", "clipped"),
            *("eps_mode", "numerator", "timing", "decay", "dead_zone"),
        )
    },
}  # fmt: skip
"""By keyword. `tests/test_keywords.py` compares it with the signatures of those that are installed."""
