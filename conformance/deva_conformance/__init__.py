"""deva_conformance: checks a backend or a rule against laws that each must keep, and against an independent oracle.

    python -m deva_conformance numpy torch jax

The function `check_backend` does the same. A backend is an entry point in the group `deva.backends`, a
`module:callable` with `start`'s signature, or an Array API namespace (`from_namespace`).
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
