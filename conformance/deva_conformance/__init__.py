"""deva_conformance: laws that every backend and every rule must keep, and the oracle they are measured against.

    python -m deva_conformance numpy torch jax

`check_backend` is the same as a function. A backend is an entry point in the group `deva.backends`, any
`module:callable` with `start`'s signature, or any Array API namespace (`from_namespace`).
"""

from deva_conformance import needs as needs  # first: it says in one line what is not installed
from deva_conformance.cases import Case as Case
from deva_conformance.cases import Problem as Problem
from deva_conformance.check import check_backend as check_backend
from deva_conformance.check import parametrize_with_checks as parametrize_with_checks
from deva_conformance.driver import CannotRun as CannotRun
from deva_conformance.driver import Subject as Subject
from deva_conformance.driver import from_namespace as from_namespace
from deva_conformance.driver import installed as installed
from deva_conformance.driver import load as load
from deva_conformance.laws import LAWS as LAWS
from deva_conformance.laws import Broken as Broken
from deva_conformance.laws import Law as Law
from deva_conformance.laws import law as law
from deva_conformance.laws.schedules import Ramp as Ramp
from deva_conformance.namespace import NamespaceStart as NamespaceStart
from deva_conformance.report import Report as Report
from deva_conformance.report import Result as Result
