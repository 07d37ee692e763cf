"""Loading a state dict: what torch's own does, between checks before it and repairs after it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from deva_core.parameter import Parameter
from deva_torch._groups import from_group, of_first_release, rule_of, with_callables
from deva_torch._precision import COMPENSATION


@contextmanager
def loading(optimizer: Any) -> Iterator[None]:
    """Around `torch.optim.Optimizer.load_state_dict`. The user's own hooks come before the checks and after the repairs."""
    live, given = [dict(group) for group in optimizer.param_groups], {}

    def check(_: Any, state_dict: dict[str, Any]) -> None:
        given.update(state_dict)
        groups = given["param_groups"]
        given["param_groups"] = [{**group, **of_first_release(group, optimizer._vector_rule)} for group in groups]
        if len(given["param_groups"]) == len(live):  # otherwise torch's own error says what differs
            pairs = list(zip(given["param_groups"], live, strict=True))
            for k, (saved, group) in enumerate(pairs):
                check_group(k, saved, group, optimizer._rule)
            for saved, group in pairs:
                for key, p in zip(saved["params"], group["params"], strict=False):
                    check_fields(optimizer._parameters[p], given["state"].get(key, {}))

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
    return live[key] if own else with_callables(saved[key], live[key])


def check_group(k: int, saved: Mapping[str, Any], live: Mapping[str, Any], default: Any) -> None:
    """Raise unless the saved group is one of this rule, its values in their domains."""
    kind = type(rule_of(live, default))
    if saved.get("rule", kind.__name__) != kind.__name__:
        raise ValueError(f"group {k} was optimised by {saved['rule']}, here it is by {kind.__name__}")
    from_group(kind, {key: continued(saved, live, key) for key in live})


def check_fields(parameter: Parameter, saved: Mapping[str, Any]) -> None:
    """Raise unless a saved state, where there is one, is of the parameter's rule."""
    expected, found = {"step", *parameter.field_names}, set(saved) - {COMPENSATION}
    if found and found != expected:
        raise ValueError(
            f"the state of {parameter.name!r} is not {type(parameter.rule).__name__}'s: it has {sorted(found)}, "
            f"expected {sorted(expected)}"
        )
