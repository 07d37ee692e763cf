"""The rules as factories, with optax's first argument and the core's names for the others.

Every factory has an explicit signature, so `optax.inject_hyperparams` works. It turns every number that it finds into an
array. Structural numbers therefore default to None, which means the rule's own default.
"""

from collections.abc import Callable
from typing import Any

import jax
import optax

import deva_core as core
from deva_core import Rule
from deva_core.messages import answered, brief
from deva_jax._transform import transform

Value = float | jax.Array | Callable[[Any], Any]
"""A number, a 0-d array or a schedule: a function of the number of updates made."""


OTHERS = "the second is ns_coeffs in optax.contrib.muon"


def given(**values: Any) -> dict[str, Any]:
    """The structural arguments that are not None.

    Raises:
        TypeError: an argument is an array.
    """
    for name, value in values.items():
        if isinstance(value, jax.Array):
            raise TypeError(
                f"deva_jax: {name} is structural and cannot be an array, got {brief(value)}: under optax.inject_hyperparams "
                f'name it in static_args=("{name}",)'
            )
    return {name: value for name, value in values.items() if value is not None}


@answered("deva_jax.muon", OTHERS)
def muon(
    learning_rate: Value = 0.02,
    *,
    momentum: Value = 0.95,
    weight_decay: Value = 0.0,
    nesterov: bool = True,
    scale: str = "original",
    rms: Value = 0.2,
    ns_coefficients: Any = None,
    ns_steps: int | None = None,
    vector_rule: Rule | None = None,
    vector_learning_rate: Value | None = None,
    layout: Any = None,
    weight_decay_mask: Any = None,
    compute_dtype: Any = "auto",
    stack_sharding: Any = None,
) -> optax.GradientTransformation:
    """Muon for matrices, AdamW for everything else: orthogonalised momentum as an optax transformation.

    `deva_core.Muon` describes the hyperparameters and gives the source, `transform` the other arguments. `vector_rule=`
    replaces AdamW. Updates are finished changes that include the learning rate, in float32 (float64 for float64 parameters).

    Raises:
        ValueError: a hyperparameter is outside its domain, or (in `init`) a parameter needs a layout.
        TypeError: an argument has the wrong type or an unknown name.

    Example:
        >>> import jax.numpy as jnp, optax
        >>> from deva_jax import muon
        >>> optimizer = optax.chain(optax.clip_by_global_norm(1.0), muon(optax.cosine_decay_schedule(0.02, 100)))
        >>> params = {"kernel": jnp.ones((3, 4)), "bias": jnp.zeros(4)}
        >>> updates, state = optimizer.update(params, optimizer.init(params), params)
        >>> updates["bias"].shape
        (4,)
    """
    rule = core.Muon(
        lr=learning_rate,
        momentum=momentum,
        weight_decay=weight_decay,
        nesterov=nesterov,
        scale=scale,
        rms=rms,
        **given(ns_coefficients=ns_coefficients, ns_steps=ns_steps),
    )
    return transform(
        rule,
        vector_rule=vector_rule,
        vector_learning_rate=vector_learning_rate,
        layout=layout,
        weight_decay_mask=weight_decay_mask,
        compute_dtype=compute_dtype,
        stack_sharding=stack_sharding,
    )


@answered("deva_jax.adago")
def adago(
    learning_rate: Value = 0.05,
    *,
    momentum: Value = 0.95,
    max_norm: Value = 10.0,
    min_step: Value | None = None,
    initial_accumulator_value: Value = 1e-6,
    weight_decay: Value = 0.0,
    nesterov: bool = False,
    scale: str = "none",
    rms: Value = 0.2,
    ns_coefficients: Any = None,
    ns_steps: int | None = None,
    vector_rule: Rule | None = None,
    vector_learning_rate: Value | None = None,
    layout: Any = None,
    weight_decay_mask: Any = None,
    compute_dtype: Any = "auto",
    stack_sharding: Any = None,
) -> optax.GradientTransformation:
    """AdaGO for matrices, AdamW for everything else: Muon's direction with AdaGrad-Norm's step length.

    `deva_core.AdaGO` describes the hyperparameters and gives the source, `transform` the other arguments. Updates are
    finished changes that include the learning rate, in float32 (float64 for float64 parameters).

    Raises:
        ValueError: a hyperparameter is outside its domain, or (in `init`) a parameter needs a layout.
        TypeError: an argument has the wrong type or an unknown name.

    Example:
        >>> import jax.numpy as jnp
        >>> from deva_jax import adago
        >>> params = {"kernel": jnp.zeros((2, 2))}
        >>> optimizer = adago(0.1, ns_coefficients="exact")
        >>> updates, _ = optimizer.update({"kernel": jnp.eye(2)}, optimizer.init(params), params)
        >>> round(float(updates["kernel"][0, 0]), 4)
        -0.1
    """
    rule = core.AdaGO(
        lr=learning_rate,
        momentum=momentum,
        max_norm=max_norm,
        min_step=min_step,
        initial_accumulator_value=initial_accumulator_value,
        weight_decay=weight_decay,
        nesterov=nesterov,
        scale=scale,
        rms=rms,
        **given(ns_coefficients=ns_coefficients, ns_steps=ns_steps),
    )
    return transform(
        rule,
        vector_rule=vector_rule,
        vector_learning_rate=vector_learning_rate,
        layout=layout,
        weight_decay_mask=weight_decay_mask,
        compute_dtype=compute_dtype,
        stack_sharding=stack_sharding,
    )


@answered("deva_jax.deva")
def deva(
    learning_rate: Value = 3e-3,
    *,
    beta1: Value = 0.95,
    beta2: Value = 0.95,
    eps: Value = 1e-8,
    weight_decay: Value = 0.01,
    precondition_frequency: Value = 10,
    refresh_phase: Value = 0,
    nesterov: bool = True,
    statistics: str = "momentum",
    factored: bool = False,
    sign_stabilization: bool = False,
    bias_correction: bool = True,
    basis: str = "canonical",
    max_precondition_dim: int | None = None,
    scale: str = "rms",
    rms: Value = 0.2,
    ns_coefficients: Any = None,
    ns_steps: int | None = None,
    vector_rule: Rule | None = None,
    vector_learning_rate: Value | None = None,
    layout: Any = None,
    weight_decay_mask: Any = None,
    compute_dtype: Any = "auto",
    stack_sharding: Any = None,
) -> optax.GradientTransformation:
    """DeVA for matrices, DeVAVector for everything else: decoupled variance adaptation.

    `deva_core.DeVA` describes the hyperparameters and gives the source, `transform` the other arguments. Updates are
    finished changes that include the learning rate, in float32 (float64 for float64 parameters).

    Raises:
        ValueError: a hyperparameter is outside its domain, or (in `init`) a parameter needs a layout.
        TypeError: an argument has the wrong type or an unknown name.

    Example:
        >>> import jax.numpy as jnp
        >>> from deva_jax import deva
        >>> params = {"kernel": jnp.ones((3, 4)), "bias": jnp.zeros(4)}
        >>> optimizer = deva(3e-3)
        >>> updates, state = optimizer.update(params, optimizer.init(params), params)
        >>> state.slots["kernel"].step.item()
        1
    """
    rule = core.DeVA(
        lr=learning_rate,
        beta1=beta1,
        beta2=beta2,
        eps=eps,
        weight_decay=weight_decay,
        precondition_frequency=precondition_frequency,
        refresh_phase=refresh_phase,
        nesterov=nesterov,
        statistics=statistics,
        factored=factored,
        sign_stabilization=sign_stabilization,
        bias_correction=bias_correction,
        basis=basis,
        scale=scale,
        rms=rms,
        **given(ns_coefficients=ns_coefficients, ns_steps=ns_steps, max_precondition_dim=max_precondition_dim),
    )
    return transform(
        rule,
        vector_rule=vector_rule,
        vector_learning_rate=vector_learning_rate,
        layout=layout,
        weight_decay_mask=weight_decay_mask,
        compute_dtype=compute_dtype,
        stack_sharding=stack_sharding,
    )


@answered("deva_jax.deva_vector")
def deva_vector(
    learning_rate: Value = 3e-3,
    *,
    beta1: Value = 0.9,
    beta2: Value = 0.99,
    eps: Value = 1e-8,
    weight_decay: Value = 0.0,
    nesterov: bool = False,
    bias_correction: bool = True,
) -> optax.GradientTransformation:
    """DeVA over the ℓ∞ norm, for every parameter.

    `deva_core.DeVAVector` describes the hyperparameters and gives the source. Updates are finished changes that include the
    learning rate, in float32 (float64 for float64 parameters).

    Raises:
        ValueError: a hyperparameter is outside its domain.
        TypeError: an argument has the wrong type or an unknown name.

    Example:
        >>> import jax.numpy as jnp
        >>> from deva_jax import deva_vector
        >>> w = jnp.zeros(2)
        >>> optimizer = deva_vector(0.5)
        >>> optimizer.update(jnp.array([1e-6, -1e-6]), optimizer.init(w), w)[0].tolist()
        [-0.5, 0.5]
    """
    return transform(
        core.DeVAVector(
            lr=learning_rate,
            beta1=beta1,
            beta2=beta2,
            eps=eps,
            weight_decay=weight_decay,
            nesterov=nesterov,
            bias_correction=bias_correction,
        )
    )


@answered("deva_jax.adamw")
def adamw(
    learning_rate: Value = 3e-4,
    *,
    beta1: Value = 0.9,
    beta2: Value = 0.999,
    eps: Value = 1e-8,
    weight_decay: Value = 0.01,
) -> optax.GradientTransformation:
    """AdamW for every parameter.

    `deva_core.AdamW` describes the hyperparameters and gives the source. Updates are finished changes that include the
    learning rate, in float32 (float64 for float64 parameters).

    Raises:
        ValueError: a hyperparameter is outside its domain.
        TypeError: an argument has the wrong type or an unknown name.

    Example:
        >>> import jax.numpy as jnp
        >>> from deva_jax import adamw
        >>> w = jnp.zeros(2)
        >>> optimizer = adamw(0.1)
        >>> updates, _ = optimizer.update(jnp.array([3.0, -5.0]), optimizer.init(w), w)
        >>> [round(u, 6) for u in updates.tolist()]
        [-0.1, 0.1]
    """
    return transform(core.AdamW(lr=learning_rate, beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay))
