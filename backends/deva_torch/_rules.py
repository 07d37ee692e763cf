"""The rules with torch's signatures. `deva_core` has their mathematics and describes each hyperparameter."""

from collections.abc import Callable
from typing import Any, Unpack

import torch

import deva_core as core
from deva_core import JORDAN
from deva_core.messages import answered
from deva_torch._groups import two
from deva_torch._optimizer import RuleOptimizer
from deva_torch._options import Options, VectorOptions

Value = float | torch.Tensor | Callable[[int], Any]
"""A number, a 0-d tensor or a function of the number of steps made."""


OTHERS = "the third is weight_decay in torch.optim.Muon, momentum in pytorch_optimizer's"
"""Other libraries order their arguments differently, so ours are keywords after `lr`."""


class Muon(RuleOptimizer):
    """Muon for matrices, AdamW for everything else: orthogonalised momentum as a torch optimizer.

    `deva_core.Muon` describes the hyperparameters and gives the source, `RuleOptimizer` the other arguments. `vector_rule=`
    replaces AdamW.

    Raises:
        ValueError: a hyperparameter is outside its domain, or a parameter needs a layout.
        TypeError: an argument has the wrong type or an unknown name.

    Example:
        >>> import torch
        >>> from deva_torch import Muon
        >>> model = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
        >>> optimizer = Muon(model.parameters(), lr=0.02)
        >>> model(torch.ones(2, 8)).sum().backward()
        >>> optimizer.step()
    """

    @answered("deva_torch.Muon", OTHERS)
    def __init__(
        self,
        params: Any,
        lr: Value = 0.02,
        *,
        momentum: Value = 0.95,
        weight_decay: Value = 0.0,
        nesterov: bool = True,
        scale: str = "original",
        rms: Value = 0.2,
        ns_coefficients: Any = JORDAN,
        ns_steps: int = 5,
        **options: Unpack[Options],
    ) -> None:
        rule = core.Muon(
            lr=lr,
            momentum=momentum,
            weight_decay=weight_decay,
            nesterov=nesterov,
            scale=scale,
            rms=rms,
            ns_coefficients=ns_coefficients,
            ns_steps=ns_steps,
        )
        super().__init__(params, rule, **options)


class AdaGO(RuleOptimizer):
    """AdaGO for matrices, AdamW for everything else: Muon's direction with AdaGrad-Norm's step length.

    `deva_core.AdaGO` describes the hyperparameters and gives the source, `RuleOptimizer` the other arguments.

    Raises:
        ValueError: a hyperparameter is outside its domain, or a parameter needs a layout.
        TypeError: an argument has the wrong type or an unknown name.

    Example:
        >>> import torch
        >>> from deva_torch import AdaGO
        >>> W = torch.nn.Parameter(torch.zeros(2, 2))
        >>> optimizer = AdaGO([W], lr=0.1, ns_coefficients="exact")
        >>> W.grad = torch.eye(2)
        >>> optimizer.step()
        >>> round(W[0, 0].item(), 4)
        -0.1
    """

    @answered("deva_torch.AdaGO", OTHERS)
    def __init__(
        self,
        params: Any,
        lr: Value = 0.05,
        *,
        momentum: Value = 0.95,
        max_norm: Value = 10.0,
        min_step: Value | None = None,
        initial_accumulator_value: Value = 1e-6,
        weight_decay: Value = 0.0,
        nesterov: bool = False,
        scale: str = "none",
        rms: Value = 0.2,
        ns_coefficients: Any = JORDAN,
        ns_steps: int = 5,
        **options: Unpack[Options],
    ) -> None:
        rule = core.AdaGO(
            lr=lr,
            momentum=momentum,
            max_norm=max_norm,
            min_step=min_step,
            initial_accumulator_value=initial_accumulator_value,
            weight_decay=weight_decay,
            nesterov=nesterov,
            scale=scale,
            rms=rms,
            ns_coefficients=ns_coefficients,
            ns_steps=ns_steps,
        )
        super().__init__(params, rule, **options)


class DeVA(RuleOptimizer):
    """DeVA for matrices, DeVAVector for everything else: decoupled variance adaptation.

    `deva_core.DeVA` describes the hyperparameters and gives the source, `RuleOptimizer` the other arguments. `betas` is
    `(beta1, beta2)`.

    Raises:
        ValueError: a hyperparameter is outside its domain, or a parameter needs a layout.
        TypeError: an argument has the wrong type or an unknown name.

    Example:
        >>> import torch
        >>> from deva_torch import DeVA
        >>> model = torch.nn.Linear(3, 4)
        >>> optimizer = DeVA(model.named_parameters(), lr=3e-3, betas=(0.95, 0.95))
        >>> print(optimizer.explain())
        parameter  shape  layout  rule        lr     ratio  lr×ratio  factor  step    decay  why
        weight     4×3    out in  DeVA        0.003  -      0.003     0.4     0.0006  0.01   two axes: (out, in) in torch
        bias       4      -       DeVAVector  0.003  1      0.003     -       0.003   0      not a matrix
    """

    @answered("deva_torch.DeVA")
    def __init__(
        self,
        params: Any,
        lr: Value = 3e-3,
        *,
        betas: tuple[Value, Value] = (0.95, 0.95),
        eps: Value = 1e-8,
        weight_decay: Value = 0.01,
        precondition_frequency: Value = 10,
        nesterov: bool = True,
        refresh_phase: Value = 0,
        statistics: str = "momentum",
        factored: bool = False,
        sign_stabilization: bool = False,
        bias_correction: bool = True,
        basis: str = "canonical",
        max_precondition_dim: int = 10000,
        scale: str = "rms",
        rms: Value = 0.2,
        ns_coefficients: Any = JORDAN,
        ns_steps: int = 5,
        **options: Unpack[Options],
    ) -> None:
        beta1, beta2 = two(core.DeVA, betas)
        rule = core.DeVA(
            lr=lr,
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
            max_precondition_dim=max_precondition_dim,
            scale=scale,
            rms=rms,
            ns_coefficients=ns_coefficients,
            ns_steps=ns_steps,
        )
        super().__init__(params, rule, **options)


class DeVAVector(RuleOptimizer):
    """DeVA over the ℓ∞ norm, for every parameter.

    `deva_core.DeVAVector` describes the hyperparameters and gives the source, `RuleOptimizer` the other arguments. `betas` is
    `(beta1, beta2)`.

    Raises:
        ValueError: a hyperparameter is outside its domain.
        TypeError: an argument has the wrong type or an unknown name.

    Example:
        >>> import torch
        >>> from deva_torch import DeVAVector
        >>> w = torch.nn.Parameter(torch.zeros(2))
        >>> optimizer = DeVAVector([w], lr=0.5)
        >>> w.grad = torch.tensor([1e-6, -1e-6])
        >>> optimizer.step()
        >>> w.tolist()
        [-0.5, 0.5]
    """

    @answered("deva_torch.DeVAVector")
    def __init__(
        self,
        params: Any,
        lr: Value = 3e-3,
        *,
        betas: tuple[Value, Value] = (0.9, 0.99),
        eps: Value = 1e-8,
        weight_decay: Value = 0.0,
        nesterov: bool = False,
        bias_correction: bool = True,
        **options: Unpack[VectorOptions],
    ) -> None:
        beta1, beta2 = two(core.DeVAVector, betas)
        rule = core.DeVAVector(
            lr=lr,
            beta1=beta1,
            beta2=beta2,
            eps=eps,
            weight_decay=weight_decay,
            nesterov=nesterov,
            bias_correction=bias_correction,
        )
        super().__init__(params, rule, **options)


class AdamW(RuleOptimizer):
    """AdamW for every parameter, with the arguments of `torch.optim.AdamW` in the same order.

    `deva_core.AdamW` describes the hyperparameters and gives the source, `RuleOptimizer` the other arguments. `betas` is
    `(beta1, beta2)`.

    Raises:
        ValueError: a hyperparameter is outside its domain.
        TypeError: an argument has the wrong type or an unknown name.

    Example:
        >>> import torch
        >>> from deva_torch import AdamW
        >>> w = torch.nn.Parameter(torch.zeros(2))
        >>> optimizer = AdamW([w], lr=0.1)
        >>> w.grad = torch.tensor([3.0, -5.0])
        >>> optimizer.step()
        >>> [round(x, 6) for x in w.tolist()]
        [-0.1, 0.1]
    """

    @answered("deva_torch.AdamW")
    def __init__(
        self,
        params: Any,
        lr: Value = 3e-4,
        betas: tuple[Value, Value] = (0.9, 0.999),
        eps: Value = 1e-8,
        weight_decay: Value = 0.01,
        **options: Unpack[VectorOptions],
    ) -> None:
        beta1, beta2 = two(core.AdamW, betas)
        rule = core.AdamW(lr=lr, beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay)
        super().__init__(params, rule, **options)
