"""The museum: real bugs of public optimizers, re-created. Sources as in the specification, peers.md C and D2."""

import numpy as np

from deva_conformance.faults.arithmetic import as_class, fixed, times
from deva_conformance.faults.borders import COMPILES, counted_but_lost, missing_as_zero, present
from deva_conformance.faults.checkpoints import load_without, through
from deva_conformance.faults.exhibits import (
    AliasedBuffer,
    ClippedNorm,
    ClippedUpdate,
    FixedTriple,
    HeavyBall,
    ImmediateDecay,
    NarrowAccumulator,
    NesterovAccumulator,
    Plain,
    RawGradient,
    WarmOnly,
    first_rank_gathered,
    kernel_scale,
    needs_contiguous,
    other_when,
    overwritten,
    raw_kernels,
    scheduled_matrix_half,
    sized,
    sum_over_columns,
    through_half_first,
    traced,
    whole_fused,
)
from deva_conformance.faults.hooks import Fault, each, field_of
from deva_conformance.faults.operations import bits, functions
from deva_conformance.faults.rules import CoupledDecay, TransposedScale
from deva_core import AdaGO, AdamW, DeVA, Muon

FAULTS = {
    "torch-alias": Fault(
        about="momentum overwritten by its normalised copy: pytorch#194664, D2.2",
        law="oracle",
        rule=as_class(AliasedBuffer),
    ),
    "optax-raw-gradient": Fault(
        about="the raw gradient orthogonalised: optax#1170, C15", law="oracle", rule=as_class(RawGradient)
    ),
    "optax-scale-transposed": Fault(
        about="in/out for out/in: optax#1249, C15", law="oracle", rule=as_class(TransposedScale)
    ),
    "optax-bias-correction": Fault(
        about="m corrected with t+1 and g with t: optax 0.2.8, table of D2",
        law="oracle",
        rule=fixed(momentum_form="corrected", nesterov=True),
    ),
    "optax-clipped-norm": Fault(
        about="squared norm clipped at 1e-8: optax 0.2.8, D2.11",
        law="scale",
        rule=as_class(ClippedNorm),
    ),
    "keller-heavy-ball": Fault(
        about="heavy ball for an average: KellerJordan/Muon#52, C17", law="oracle", rule=as_class(HeavyBall)
    ),
    "keller-none-decayed": Fault(
        about="no gradient, yet decayed: KellerJordan/Muon, C40, D2.9",
        law="missing-gradient",
        on=AdaGO,
        given=missing_as_zero,
    ),
    "keller-grad-overwritten": Fault(
        about="p.grad overwritten by the step: Keller, kozistr, timm, D2.8", law="purity", given=overwritten
    ),
    "keller-channels-last": Fault(
        about=".view on channels_last: ultralytics#26013, D2.7", law="strides", given=needs_contiguous
    ),
    "keller-conv-scale": Fault(
        about="scale from kernel axes: Keller, MLX, timm#2791, D2.6", law="layouts", params=kernel_scale
    ),
    "keller-eps": Fault(
        about="X / (‖X‖ + 1e-7): 11 % at gradients of 1e-8, D2.13",
        law="scale",
        rule=fixed(ns_normalization="add", ns_eps=1e-7),
    ),
    "torch-eps": Fault(
        about="X / max(‖X‖, 1e-7): torch, kozistr, D2.13",
        law="scale",
        rule=fixed(ns_normalization="clamp", ns_eps=1e-7),
    ),
    "tinygrad-no-decay": Fault(
        about="decay bound to a local name: tinygrad 0.13, D2.1",
        law="exact-decay",
        on=AdamW,
        rule=times("weight_decay", 0),
    ),
    "mlx-l2": Fault(about="decay into the gradient: MLX, table of D2", law="exact-decay", rule=as_class(CoupledDecay)),
    "kozistr-no-root": Fault(
        about="divides by v² instead of v: kozistr AdaGO, D2.4",
        law="step-length",
        on=AdaGO,
        rule=fixed(accumulator_root=False),
    ),
    "kozistr-nesterov-norm": Fault(
        about="norm of the lookahead: kozistr AdaGO, D2.4", law="oracle", on=AdaGO, rule=as_class(NesterovAccumulator)
    ),
    "kozistr-narrow-sum": Fault(
        about="accumulator sticks in bfloat16: kozistr AdaGO, D2.4",
        law="oracle",
        on=AdaGO,
        rule=as_class(NarrowAccumulator),
    ),
    "kozistr-all-gather": Fault(
        about="a slice p[i:i+rank] gathered: kozistr DistributedMuon, D2.3",
        law="independence",
        params=first_rank_gathered,
    ),
    "kozistr-adjusted-lr": Fault(
        about="use_adjusted_lr inverted: kozistr#371, C16",
        law="oracle",
        on=AdaGO,
        rule=lambda r: r.with_values(scale="none" if r.scale != "none" else "original"),
    ),
    "deepspeed-half-first": Fault(
        about="float16 before the norm: DeepSpeed gram, D2.5; DiffSinger#301",
        law="scale",
        given=each(through_half_first),
    ),
    "deepspeed-large-lost": Fault(
        about="update 0 from gradients of 6e2 on: DeepSpeed, D2.5", law="scale", on=Muon, given=sized(600)
    ),
    "deepspeed-sgd": Fault(
        about="Muon that runs SGD: DeepSpeed#8441, C10", law="singular-values", rule=as_class(Plain)
    ),
    "deepspeed-clip-after": Fault(
        about="clipped after orthogonalisation: DeepSpeed#7713, C12",
        law="singular-values",
        rule=as_class(ClippedUpdate),
    ),
    "deepspeed-groups": Fault(
        about="a group's lr and decay discarded: DeepSpeed#8440, C13",
        law="oracle",
        on=AdamW,
        rule=lambda r: r.with_values(lr=3e-4, weight_decay=0.01),
    ),
    "deepspeed-half-schedule": Fault(
        about="the scheduler reaches one half: tt-metal#56027, C33",
        law="schedules",
        on=AdamW,
        rule=scheduled_matrix_half,
    ),
    "deepspeed-resume": Fault(
        about="a checkpoint that knows exp_avg only: DeepSpeed#8609, C31",
        law="save-load",
        on=AdamW,
        loading=load_without("exp_avg_sq"),
    ),
    "torch-state-cast": Fault(
        about="state cast to the parameter's dtype on load: style.md hazards, C8",
        law="save-load",
        loading=through(lambda x: bits(x, 8)),
    ),
    "heavyball-keepdim": Fault(
        about="a norm without keepdim, silently wrong: HeavyBall, D2.10",
        law="batched",
        backend=functions(sum=sum_over_columns),
    ),
    "heavyball-stochastic": Fault(
        about="stochastic rounding between calls: HeavyBall, D2.10",
        law="determinism",
        on=AdaGO,
        given=lambda G, run: {
            n: (X * (1 + 2.0**-9 * np.random.default_rng().standard_normal(X.shape))).astype(X.dtype)
            for n, X in present(G).items()
        },
    ),
    "heavyball-coefficients": Fault(
        about="other coefficients only: HeavyBall, table of D2", law="oracle", rule=as_class(FixedTriple)
    ),
    "gram-never-compiled": Fault(
        about="compiled on the instance, never used: Gram Newton–Schulz, D2.12",
        law="compiled",
        params=traced(1),
        capabilities=COMPILES,
    ),
    "keras-one-backend": Fault(
        about="one path of two is wrong for weeks: keras#21793, C34",
        law="compiled",
        given=other_when("compiled", True),
        capabilities=COMPILES,
    ),
    "triton-unchecked": Fault(
        about="a fast kernel that differs: dion#55, C27", law="replacements", given=other_when("replacements", False)
    ),
    "normuon-nan": Fault(
        about="NaN on zero gradients: dion#24, kozistr#431, C4",
        law="zero-gradient",
        given=each(lambda G: G if np.any(G) else G + np.nan),
    ),
    "moonlight-shards": Fault(
        about="Newton–Schulz on shards: Moonlight#27, C5",
        law="rotation",
        rule=lambda r: r,
        given=each(lambda G: np.concatenate([G[..., :1, :], 2 * G[..., 1:, :]], -2) if G.ndim > 1 else G),
    ),
    "fused-qkv-whole": Fault(
        about="QKV orthogonalised as one: KellerJordan/Muon#50, C24", law="layouts", options=whole_fused
    ),
    "conv-axes": Fault(
        about="kernel axes by position: ultralytics#25447, optax#1271, C21",
        law="layouts",
        on=AdaGO,
        options=raw_kernels,
    ),
    "megatron-double-scale": Fault(
        about="scaled twice: Megatron#3715, C19",
        law="oracle",
        rule=times("lr", 1.2),
    ),
    "megatron-tied": Fault(
        about="replicas drift apart: Megatron#4641, C20",
        law="independence",
        on=AdamW,
        given=lambda G, run: {n: X if k == 0 else -X for k, (n, X) in enumerate(present(G).items())},
    ),
    "soap-order": Fault(about="float16 momentum: NorMuon#4, C7", law="oracle", rule=as_class(WarmOnly)),
    "tinygrad-decay-moved": Fault(
        about="decay of the moved parameter: tinygrad, D2.1", law="exact-decay", rule=as_class(ImmediateDecay)
    ),
    "dcp-resume": Fault(
        about="DCP resume lost a step: dion CHANGELOG, C30", law="long-run", on=DeVA, params=counted_but_lost
    ),
    "momentum-halved-state": Fault(
        about="exported momentum in other units: timm migration, C31",
        law="oracle",
        on=DeVA,
        state=field_of("momentum", lambda M: M / 2),
    ),
}
