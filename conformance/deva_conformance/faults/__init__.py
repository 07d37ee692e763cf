"""Seeded faults: what the kit is tested by. `python -m deva_conformance.faults` prints which law kills which.

Data: `FAULTS` by name, each with the law that must kill it, `MUSEUM` the real bugs among them, `LEGAL` the variants that
every law must accept. A `Fault` is a `start` over NumPy; `fault.around(start)` puts it on another backend.
"""

from deva_conformance.faults import (
    alone,
    arithmetic,
    borders,
    checkpoints,
    kernels,
    legal,
    museum,
    operations,
    order,
    rates,
)
from deva_conformance.faults.hooks import Fault as Fault
from deva_conformance.faults.hooks import FaultyRun as FaultyRun

MUSEUM: dict[str, Fault] = museum.FAULTS
FAULTS: dict[str, Fault] = {
    **arithmetic.FAULTS,
    **borders.FAULTS,
    **checkpoints.FAULTS,
    **kernels.FAULTS,
    **operations.FAULTS,
    **order.FAULTS,
    **rates.FAULTS,
    **alone.FAULTS,
    **MUSEUM,
}
LEGAL: dict[str, Fault] = {**legal.VARIANTS, **kernels.VARIANTS}
