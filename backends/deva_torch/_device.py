"""What kind of device values lie on. Tests empty `HOSTS`, so that a CPU goes where an accelerator would go."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

HOSTS = {"cpu"}
"""Kinds of devices whose values are read at once. To read one from any other waits for all that was asked of it."""


def is_host(kind: str) -> bool:
    """Whether a kind of device (`"cpu"`, `"cuda"`, …) is one whose values are read at once."""
    return kind in HOSTS


def on_host(x: torch.Tensor) -> bool:
    """Whether the values of x are read at once."""
    return x.device.type in HOSTS


@contextmanager
def without_autocast() -> Iterator[None]:
    """Compute as asked inside `torch.autocast`, which is for a network's own operations."""
    accelerator = torch.accelerator.current_accelerator()
    with ExitStack() as stack:
        for kind in ("cpu", *([] if accelerator is None else [accelerator.type])):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield
