"""Shared fixtures: the backends that are installed."""

from importlib.metadata import entry_points
from importlib.util import find_spec

import pytest

if find_spec("torch"):
    import torch

    torch.set_num_threads(1)  # small matrices on busy cores: two threads wait for each other, a hundred times longer

INSTALLED = {e.name: e for e in entry_points(group="deva.backends") if e.name == "numpy" or find_spec(e.name)}


@pytest.fixture(scope="session")
def starts():
    """`start` of every backend whose framework is installed, by name."""
    return {name: entry.load() for name, entry in INSTALLED.items()}


@pytest.fixture(params=sorted(INSTALLED))
def start(request):
    """`start` of each backend in turn."""
    return INSTALLED[request.param].load()
