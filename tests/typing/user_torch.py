"""What a user of `deva_torch` writes, as a strict type checker sees it. `make lint` checks it; nothing runs it.

A line with `ignore` is wrong use, which the checker must flag: an ignore that is not needed is an error here.
"""
# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from typing import assert_type

import torch

from deva_core import AdaGO, AdamW, Layout, Rule
from deva_torch import DeVA, DeVAVector, Muon, RuleOptimizer, load, param_groups, save


def loss_of(model: torch.nn.Module) -> torch.Tensor:
    return torch.zeros(())


def train(model: torch.nn.Module) -> None:
    optimizer = Muon(model.named_parameters(), lr=0.02, vector_rule=AdamW(lr=1e-3), layout={"head": "vector"})
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / 100)
    assert_type(optimizer.step(), None)
    assert_type(optimizer.step(lambda: loss_of(model)), torch.Tensor)
    assert_type(optimizer.step(closure=lambda: 1.0), float)
    assert_type(optimizer.explain(), str)
    assert_type(optimizer.plan(), str)
    assert_type(save("state.safetensors", optimizer), None)
    load("state.safetensors", optimizer, rename={"a": "b"})
    scheduler.step()


def options(model: torch.nn.Module) -> list[torch.optim.Optimizer]:
    groups = [{"params": list(model.parameters()), "rule": AdaGO(lr=0.1)}]
    return [
        Muon(param_groups(model, layout={"*.qkv.weight": "(q k v) in"}, heads=["fc"]), lr=0.02),
        RuleOptimizer(model.parameters(), Muon_rule(), rounding="kahan", state_dtype="bfloat16"),
        DeVA(groups, betas=(0.95, lambda count: 0.9), layout=Layout("(q k v) in", q=4, k=2, v=2)),
        DeVAVector(model.parameters(), rounding="stochastic", generator=torch.Generator(), maximize=True),
        Muon(model.parameters(), compute_dtype=torch.bfloat16, foreach=False),
    ]


def Muon_rule() -> Rule:
    return AdamW()


def wrong(model: torch.nn.Module) -> None:
    Muon(model.parameters(), lr="0.02")  # pyright: ignore[reportArgumentType]
    Muon(model.parameters(), momemtum=0.9)  # pyright: ignore[reportCallIssue]
    Muon(model.parameters(), 0.02, 0.1)  # pyright: ignore[reportCallIssue]
    Muon(model.parameters(), rounding="down")  # pyright: ignore[reportArgumentType]
    Muon(model.parameters(), vector_rule="adamw")  # pyright: ignore[reportArgumentType]
    Muon(model.parameters(), nesterov="yes")  # pyright: ignore[reportArgumentType]
    Muon(model.parameters(), compute_dtype=16)  # pyright: ignore[reportArgumentType]
    DeVAVector(model.parameters(), layout="out in")  # pyright: ignore[reportCallIssue]
    DeVA(model.parameters(), betas=0.9)  # pyright: ignore[reportArgumentType]
    DeVA(model.parameters(), beta1=0.9)  # pyright: ignore[reportCallIssue]
    RuleOptimizer(model.parameters(), Muon)  # pyright: ignore[reportArgumentType]
    Muon(model.parameters()).step(loss_of(model))  # pyright: ignore[reportCallIssue, reportArgumentType]
