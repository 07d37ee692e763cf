"""The JSON of a run: what its keys mean. All times are seconds, all sizes bytes, all rates 1e9 operations a second.

Ratios are ours / theirs. A file holds everything that tables, plots and page show; nothing is typed by hand.
"""

import json
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from benchmarks import records

SCHEMA = 1


class Summary(TypedDict):
    """Of one side of a pair, over the counted rounds."""

    settings: str
    median: float
    mean: float
    min: float
    max: float
    seconds: list[float]
    first: float
    """The very first step, with states and first bases."""


class Ratio(TypedDict):
    """With a 95 % interval from resampled rounds."""

    statistic: str
    """`"median"`: of the ratios within rounds. `"mean"`: the ratio of the means."""
    value: float
    low: float
    high: float
    target: NotRequired[float]
    """From targets.json; without it the pair is for information."""
    met: NotRequired[bool]
    """value <= target."""


class Floor(TypedDict):
    """Of one side: its matrix products at the measured rate of such products."""

    seconds: float
    flops: int
    gflops_per_second: float
    """The side's products over its whole step."""
    rate_gflops_per_second: float
    """The products alone, by torch, at these shapes and this dtype, in the same rounds."""
    share: float
    """floor / step."""
    groups: list[dict[str, Any]]
    """By oriented shape: `count`, `algorithm`, `flops`, `plain_flops`, `gram_flops`, `rate_gflops_per_second`, `seconds`."""
    target: NotRequired[float]
    met: NotRequired[bool]


class Compile(TypedDict):
    """Tracing, lowering and compilation of a step; the median of `ours_seconds` and `theirs_seconds`."""

    ours: float
    theirs: float
    ours_seconds: list[float]
    theirs_seconds: list[float]
    ratio: Ratio


class Row(TypedDict):
    """One pair on one set."""

    pair: str
    title: str
    set: str
    rounds: int
    ours: Summary
    theirs: Summary
    ratio: Ratio
    products: NotRequired[str]
    """The dtype of the products."""
    floor: NotRequired[dict[str, Floor]]
    """`ours` and `theirs`."""
    xla: NotRequired[dict[str, float]]
    """The plain iteration's products alone, by XLA: `loop` over equal matrices, and `batched`."""
    compile: NotRequired[Compile]


class Result(TypedDict):
    """The file."""

    schema: int
    date: str
    command: str
    machine: dict[str, Any]
    """`cpu`, `cores`, `threads`, `instructions`, `system`, `blas_of_numpy`."""
    load_average: dict[str, list[float]]
    """Over 1, 5 and 15 minutes, at the `begin` and `end`; the run itself is in the latter."""
    minutes: float
    versions: dict[str, str]
    rounds: int
    sets: dict[str, str]
    """Descriptions of the sets in `pairs`."""
    pairs: list[Row]
    skipped: list[dict[str, str]]
    """`pair` and `reason`."""
    growth: NotRequired[dict[str, Any]]
    """`by_parameters`, `by_number`: `shape` and `rows` of `count`, `parameters`, `ours`, `theirs` (medians)."""
    states: NotRequired[list[dict[str, Any]]]
    """`rule`, `shape`, `bytes_per_parameter` measured, `bound` documented, `formula` of the bound."""
    peaks: NotRequired[list[dict[str, Any]]]
    """`set`, `parameters`, `ours`, `theirs`: bytes a step allocates besides parameters, gradients and state."""
    compiled: NotRequired[list[dict[str, Any]]]
    """`set`, `plain` and `compiled` (summaries), `ratio` (compiled / plain), `seconds` of the first compiled step."""
    dispatches: NotRequired[list[dict[str, Any]]]
    """`case`, `matrices`, `ours`, `theirs`: operations a step; `…_by_operation`: by name."""


def write(path: Path, result: Result) -> None:
    """As JSON, with six digits of each number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(records.rounded(result), indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def read(path: Path) -> Result:
    """What `write` wrote; a file of another schema is refused."""
    return records.read(path, SCHEMA)
