"""Moving in and out: import the state of other torch optimizers, and export it to them."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from deva_core import Rule
from deva_core.messages import a, brief
from deva_core.migrate import SILENT, Peer, export_fields, format_of, import_fields
from deva_core.parameter import Parameter
from deva_torch._checks import check_own
from deva_torch._optimizer import RuleOptimizer
from deva_torch._precision import computed_with

PeerLike = torch.optim.Optimizer | Mapping[str, Any]
"""Another optimizer, or its state dict."""


@torch.no_grad()
def import_state(optimizer: RuleOptimizer, peer: PeerLike, source: str, step: int | None = None) -> list[str]:
    """Import another torch optimizer's state. Returns the names of the parameters whose state was imported.

    Parameters are matched by identity. Those of a state dict are matched by name if both sides have names, otherwise by
    order, as in torch. Parameters without state in the peer keep theirs, so you can import from one peer for matrices and
    then from another for the rest. Hyperparameters do not change. On an error the optimizer keeps its state. docs/moving.md
    says what each import preserves.

    Args:
        optimizer: the optimizer that receives the state.
        peer: the other optimizer, or its state dict.
        source: the peer's format: `"torch"`, `"keller"`, `"moonlight"`, `"deva-authors"`, `"soap"` or `"adamw"`.
        step: the number of steps made, if the peer does not count them. Only schedules and bias corrections need it.

    Raises:
        ValueError: parameters, fields, shapes or meanings differ; the message says which.
        TypeError: `optimizer` or `peer` is not an optimizer.

    Example:
        >>> import torch
        >>> from deva_core import Muon
        >>> from deva_torch import RuleOptimizer, import_state
        >>> model = torch.nn.Linear(3, 4, bias=False)
        >>> peer = torch.optim.Muon(model.parameters(), lr=0.02)
        >>> model(torch.ones(2, 3)).sum().backward()
        >>> peer.step()
        >>> import_state(RuleOptimizer(model.named_parameters(), Muon.dialect("torch", lr=0.02)), peer, "torch")
        ['weight']
    """
    check_own("import_state(optimizer, peer, source)", optimizer, RuleOptimizer)
    if step is not None and (isinstance(step, bool) or not isinstance(step, int) or step < 0):
        raise ValueError(f"import_state: step must be the number of steps made, got {brief(step)}")
    check_whole(optimizer)
    held = {p: Peer(fields, group, step, type(peer).__name__) for p, fields, group in held_by(peer, optimizer)}
    if not held:
        raise ValueError("the peer has no state yet: there is nothing to take over")
    states, names, directions = {}, [], directions_of(optimizer)
    for p, parameter, rule in optimizer.live_rules():
        if p in held:
            check_direction(parameter.name, directions[p], held[p].settings)
            states[p] = slot(source, on_device(held[p], p), parameter, rule, p, optimizer)
            names.append(parameter.name)
    optimizer.put_states(states)
    for group in optimizer.param_groups:
        group["count"] = max(int(optimizer.state.get(p, {}).get("step", 0)) for p in group["params"])
    optimizer.settle_counts()
    return names


@torch.no_grad()
def export_state(optimizer: RuleOptimizer, peer: torch.optim.Optimizer, target: str) -> dict[str, Any]:
    """A state dict with which another torch optimizer continues: give it to `peer.load_state_dict`.

    Neither optimizer changes. The state dict has the peer's own hyperparameters. docs/moving.md says what each export
    preserves.

    Args:
        optimizer: the optimizer that has the state.
        peer: the other optimizer, constructed from some of the same parameters.
        target: the peer's format, as `source` in `import_state`.

    Raises:
        ValueError: the peer has a parameter that `optimizer` does not, or its format cannot hold the state.
        TypeError: `optimizer` or `peer` is not an optimizer.

    Example:
        >>> import torch
        >>> from deva_torch import Muon, export_state
        >>> model = torch.nn.Linear(3, 4)
        >>> optimizer = Muon(model.parameters())
        >>> model(torch.ones(2, 3)).sum().backward()
        >>> optimizer.step()
        >>> peer = torch.optim.Muon([model.weight], lr=0.02)
        >>> peer.load_state_dict(export_state(optimizer, peer, "torch"))
        >>> peer.state[model.weight]["momentum_buffer"].shape
        torch.Size([4, 3])
    """
    check_own("export_state(optimizer, peer, target)", optimizer, RuleOptimizer)
    if not isinstance(peer, torch.optim.Optimizer):
        raise TypeError(f"export_state: the peer must be a torch optimizer, got {a(type(peer).__name__)}")
    check_whole(optimizer)
    ours = {p: (parameter, rule) for p, parameter, rule in optimizer.live_rules()}
    directions, exported = directions_of(optimizer), peer.state_dict()
    state = {key: dict(fields) for key, fields in exported["state"].items()}
    for saved, group in zip(exported["param_groups"], peer.param_groups, strict=True):
        for key, p in zip(saved["params"], group["params"], strict=True):
            check_known(p, ours, key)
            parameter, rule = ours[p]
            check_direction(parameter.name, directions[p], group)
            flat = computed_with(optimizer.state.get(p, {}))
            if flat and (flat["step"] or not format_of(target, parameter, rule).step):
                fields = export_fields(
                    target, parameter, rule, int(flat.pop("step")), flat, group, optimizer._backend(p)
                )
                state[key] = {**state.get(key, {}), **fields}
    return {**exported, "state": state}


def check_whole(optimizer: RuleOptimizer) -> None:
    """Raise if the optimizer's state is divided among ranks."""
    if optimizer.ranks:
        raise ValueError(
            "the state of parameters on several ranks cannot move between optimizers: move it in one process, "
            "then carry it over in a portable checkpoint (deva_torch.save, deva_torch.load)"
        )


def slot(
    source: str, peer: Peer, parameter: Parameter, rule: Rule, p: torch.Tensor, optimizer: RuleOptimizer
) -> dict[str, Any]:
    """A parameter's state here, from what the peer holds for it."""
    step, flat = import_fields(source, peer, parameter, rule, p.detach(), optimizer._backend(p))
    return {"step": step, **{name: x.contiguous() for name, x in flat.items()}}


def held_by(
    peer: PeerLike, optimizer: RuleOptimizer
) -> Iterable[tuple[torch.Tensor, Mapping[str, Any], Mapping[str, Any]]]:
    """Each parameter that the peer has state for: the parameter here, the fields, the group."""
    ours = {p: name for name, p in optimizer._named()}
    pairs = live_pairs(peer) if isinstance(peer, torch.optim.Optimizer) else saved_pairs(peer, optimizer)
    for k, (p, fields, group) in enumerate(pairs):
        if set(fields) - SILENT:
            check_known(p, ours, k)
            yield p, fields, group


def live_pairs(peer: torch.optim.Optimizer) -> Iterable[tuple[torch.Tensor, Mapping, Mapping]]:
    """The parameters of a live optimizer with their state and group."""
    return [(p, peer.state.get(p, {}), group) for group in peer.param_groups for p in group["params"]]


def saved_pairs(peer: Any, optimizer: RuleOptimizer) -> Iterable[tuple[torch.Tensor, Mapping, Mapping]]:
    """The parameters here with the state and group that a state dict has for them: by name, else by order."""
    if not isinstance(peer, Mapping) or not {"state", "param_groups"} <= peer.keys():
        raise TypeError(f"the peer must be a torch optimizer or its state dict, got {type(peer).__name__}")
    groups = peer["param_groups"]
    saved = [(peer["state"].get(key, {}), group) for group in groups for key in group["params"]]
    if all("param_names" in group for group in (*groups, *optimizer.param_groups)):
        return by_name([name for group in groups for name in group["param_names"]], saved, dict(optimizer._named()))
    ours = [p for group in optimizer.param_groups for p in group["params"]]
    if len(ours) != len(saved):
        raise ValueError(
            f"the state dict has {len(saved)} parameters, but here there are {len(ours)}: pass the optimizer itself, or "
            "construct both from named parameters"
        )
    return [(p, *found) for p, found in zip(ours, saved, strict=True)]


def by_name(names: list[str], saved: list, ours: Mapping[str, torch.Tensor]) -> list[tuple]:
    """Saved parameters by the names that both sides gave."""
    missing = [name for name, (fields, _) in zip(names, saved, strict=True) if fields and name not in ours]
    if missing:
        raise ValueError(f"the peer has state of {missing}, which are not parameters here: there are {list(ours)[:8]}")
    return [(ours[name], *found) for name, found in zip(names, saved, strict=True) if name in ours]


def check_known(p: torch.Tensor, ours: Mapping[torch.Tensor, Any], position: int) -> None:
    """Raise unless the peer's parameter is optimised here."""
    if p not in ours:
        raise ValueError(f"the peer's parameter number {position}, of shape {tuple(p.shape)}, is not optimised here")


def directions_of(optimizer: RuleOptimizer) -> dict[torch.Tensor, bool]:
    """Each parameter's `maximize`."""
    return {p: bool(group["maximize"]) for group in optimizer.param_groups for p in group["params"]}


def check_direction(name: str, own: bool, settings: Mapping[str, Any]) -> None:
    """Raise if exactly one of them maximizes: its momentum has the opposite sign."""
    theirs = bool(settings.get("maximize", False))
    if own != theirs:
        raise ValueError(
            f"the peer has maximize={theirs} for {name!r}, but here it is {own}: momentum changes its sign"
        )


def on_device(peer: Peer, p: torch.Tensor) -> Peer:
    """The peer's fields where the parameter is."""

    def moved(x: Any) -> Any:
        if isinstance(x, list | tuple):
            return [moved(y) for y in x]
        return x.detach().to(p.device) if isinstance(x, torch.Tensor) else x

    return peer._replace(fields={name: moved(x) for name, x in peer.fields.items()})
