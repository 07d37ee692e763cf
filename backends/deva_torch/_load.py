"""Loading a state dict: what torch's own does, between checks before it and repairs after it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from deva_core.checks import check_state
from deva_core.messages import a, brief
from deva_core.migrate import sources_of
from deva_core.parameter import Parameter
from deva_torch._groups import RATIO, checked_ratio, from_group, of_first_release, rule_of, with_callables
from deva_torch._precision import COMPENSATION

SAVED = "load a state dict into an optimizer with the rule, shapes and layouts that it was saved with"
TAKEN_OVER = "import_state(optimizer, state_dict, source) takes over what docs/moving.md lists"


@contextmanager
def loading(optimizer: Any) -> Iterator[None]:
    """Around `torch.optim.Optimizer.load_state_dict`. The user's own hooks come before the checks and after the repairs."""
    live, given = [dict(group) for group in optimizer.param_groups], {}

    def check(_: Any, state_dict: dict[str, Any]) -> None:
        check_form(state_dict)  # a hook of the user's may have changed it
        given.update(state_dict)
        groups = given["param_groups"]
        given["param_groups"] = [{**group, **of_first_release(group, optimizer._vector_rule)} for group in groups]
        pairs = paired(given["param_groups"], live)
        for k, (saved, group) in enumerate(pairs):
            check_origin(
                k, saved, [given["state"].get(key, {}) for key in saved["params"]], rule_of(group, optimizer._rule)
            )
            check_group(k, saved, group, optimizer._rule)
        for saved, group in pairs:
            for key, p in zip(saved["params"], group["params"], strict=True):
                check_slot(optimizer._parameters[p], given["state"].get(key, {}))

    def repair(_: Any) -> None:
        for saved, group, before in zip(given["param_groups"], optimizer.param_groups, live, strict=True):
            group |= of_first_release(group, optimizer._vector_rule)
            for key in ("rule", "constructed_lr"):
                group.pop(key, None)
            group |= {key: continued(group, before, key) for key in before if key != "params"}
            optimizer.put_states(
                {p: given["state"].get(key) for key, p in zip(saved["params"], group["params"], strict=True)}
            )

    hooks = (
        optimizer.register_load_state_dict_pre_hook(check),
        optimizer.register_load_state_dict_post_hook(repair, prepend=True),
    )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def continued(saved: Mapping[str, Any], live: Mapping[str, Any], key: str) -> Any:
    """A group's entry after loading: the saved one; rules, callables and what was not saved as they are here.

    So is what belongs to this run, not to its state: whether its steps are captured.
    """
    if key == "count" and key in saved:
        return int(saved[key])
    own = key in ("rule", "capturable") or key not in saved
    if (
        key == RATIO
    ):  # None stands for a learning rate of the vector rule's own, which belongs to the program as callables do
        own = live[key] is None or saved.get(key) is None
    return live[key] if own else with_callables(saved[key], live[key])


def check_form(given: Any) -> None:
    """Raise unless `given` is a state dict of an optimizer."""
    if isinstance(given, Mapping) and {"state", "param_groups"} <= given.keys():
        check_parts(given["state"], given["param_groups"])
        return
    inner = [] if not isinstance(given, Mapping) else [k for k, x in given.items() if isinstance(x, Mapping)]
    key = next((k for k in inner if "param_groups" in given[k]), None)
    hint = f"did you mean its {key!r}?" if key is not None else "save one by optimizer.state_dict()"
    raise TypeError(
        f'load_state_dict takes an optimizer\'s state dict, with "state" and "param_groups", got {a(type(given).__name__)}; '
        f"{hint}"
    )


def check_parts(state: Any, groups: Any) -> None:
    """Raise unless both parts of a state dict have the form that torch gives them."""
    if not isinstance(groups, list) or not all(isinstance(group, Mapping) and "params" in group for group in groups):
        raise TypeError(f'"param_groups" of a state dict must be a list of dicts with "params", got {brief(groups)}')
    if not isinstance(state, Mapping) or not all(isinstance(slot, Mapping) for slot in state.values()):
        raise TypeError(f'"state" of a state dict must map numbers to dicts, got {brief(state)}')
    named = next((key for key in state if isinstance(key, str)), None)
    if named is not None and not any(named in group["params"] for group in groups):
        raise ValueError(
            f'"state" of the state dict has names as keys ({named!r}), but must have numbers: '
            "load what torch.distributed.checkpoint wrote by its set_optimizer_state_dict"
        )


def paired(saved: list[Any], live: list[Any]) -> list[tuple[Any, Any]]:
    """Saved groups with those here; as many of both, of as many parameters."""
    if len(saved) != len(live):
        raise ValueError(f"the state dict has {len(saved)} param groups, but this optimizer has {len(live)}")
    for k, (one, other) in enumerate(zip(saved, live, strict=True)):
        if len(one["params"]) != len(other["params"]):
            raise ValueError(
                f"group {k} of the state dict has {len(one['params'])} parameters, but here it has {len(other['params'])}"
            )
    return list(zip(saved, live, strict=True))


def check_origin(k: int, saved: Mapping[str, Any], slots: list[Mapping[str, Any]], rule: Any) -> None:
    """Raise unless the saved group is of this package: every group of it has these entries."""
    if not {"count", "decays_all", "constructed_lr"} & saved.keys():
        found = next((set(slot) for slot in slots if slot), set())
        raise ValueError(f"group {k} belongs to an optimizer outside deva_torch: {advice_for(found, rule, TAKEN_OVER)}")


def check_group(k: int, saved: Mapping[str, Any], live: Mapping[str, Any], default: Any) -> None:
    """Raise unless the saved group is one of this rule, its values in their domains."""
    kind = type(rule_of(live, default))
    if saved.get("rule", kind.__name__) != kind.__name__:
        raise ValueError(f"group {k} was optimised by {saved['rule']}, but here it is optimised by {kind.__name__}")
    if not is_count(saved.get("count", 0)):
        raise ValueError(f"count of group {k} must be a number of steps, got {brief(saved['count'])}")
    entries = {key: continued(saved, live, key) for key in live}
    from_group(kind, entries)
    checked_ratio(entries)


def check_slot(parameter: Parameter, saved: Mapping[str, Any]) -> None:
    """Raise unless a saved state, where there is one, is of the parameter's rule and shape."""
    if not set(saved) - {COMPENSATION}:
        return
    fields = {name: x for name, x in saved.items() if name not in ("step", COMPENSATION)}
    check_state(parameter, fields, advice_for(set(saved), parameter.rule, SAVED))
    strange = next((name for name, x in fields.items() if not is_floats(x)), None)
    if strange:
        got = f"one of {fields[strange].dtype}" if isinstance(fields[strange], torch.Tensor) else brief(fields[strange])
        raise ValueError(f"{strange} of {parameter.name!r} must be a tensor of floats, got {got}")
    if not is_count(saved.get("step")):
        raise ValueError(f"step of {parameter.name!r} must be a number of steps, got {brief(saved.get('step'))}")


def is_floats(value: Any) -> bool:
    """Whether a value can be a field of a state."""
    return isinstance(value, torch.Tensor) and value.dtype.is_floating_point


def is_count(value: Any) -> bool:
    """Whether a value can be a number of steps; it may lie on a device."""
    is_whole = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 and value == value // 1
    return is_whole or (isinstance(value, torch.Tensor) and value.ndim == 0)


def advice_for(found: set[str], rule: Any, otherwise: str) -> str:
    """What to do with a state that is another optimizer's."""
    sources = " or ".join(map(repr, sources_of(found, rule)))
    return f"import_state(optimizer, state_dict, source) takes it over, source={sources}" if sources else otherwise
