"""Shared fixtures: the backends that are installed."""

import os
from collections import Counter
from importlib.metadata import entry_points
from importlib.util import find_spec

import pytest

collect_ignore_glob = [
    "fake_cupy/*",
    "cuda_shim/*",
    "typing/*",
]  # programs that tests run; files that are only type-checked

QUICK_TO_COMPILE = (
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
)
"""Most of XLA's time goes into code that runs fast, which steps of small matrices are anyway. The kit's run on JAX and the
demo are compiled as users do; `XLA_FLAGS= make test` compiles all so (docs/decisions/0021-test-time.md)."""
os.environ.setdefault("XLA_FLAGS", QUICK_TO_COMPILE)  # before JAX is imported; processes that tests start have it too

if find_spec("torch"):
    import torch

    torch.set_num_threads(1)  # small matrices on busy cores: two threads wait for each other, a hundred times longer


def runs_here(framework: str) -> bool:
    """Whether a backend's framework is installed; CuPy also needs a device."""
    if framework == "cupy":
        return bool(find_spec("cupy")) and __import__("cupy").is_available()
    return bool(find_spec(framework))


INSTALLED = {e.name: e for e in entry_points(group="deva.backends") if runs_here(e.name)}


@pytest.fixture(scope="session")
def starts():
    """`start` of every backend whose framework is installed, by name."""
    return {name: entry.load() for name, entry in INSTALLED.items()}


@pytest.fixture(params=sorted(INSTALLED))
def start(request):
    """`start` of each backend in turn."""
    return INSTALLED[request.param].load()


def pytest_terminal_summary(terminalreporter):
    """Why tests were skipped, each reason once: `-rs` would repeat a reason for every place that has it."""
    counts = reasons(terminalreporter.stats.get("skipped", []))
    if counts:
        terminalreporter.section("skipped, by reason")
    for reason, count in counts.most_common():
        terminalreporter.write_line(f"{count:>5}  {reason}")


def reasons(reports) -> Counter:
    """How many tests were skipped for each reason."""
    return Counter(report.longrepr[2].removeprefix("Skipped: ") for report in reports)
