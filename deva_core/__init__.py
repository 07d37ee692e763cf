"""deva_core: Muon, AdaGO and DeVA, written once against the Python Array API standard.

The specification of the project: matrix rules (`Muon`, `AdaGO`, `DeVA`), vector rules for everything else (`DeVAVector`,
`AdamW`), layouts, and a functional host, `Optimizer`, for any array library. It imports no framework.
"""

from deva_core.adago import AdaGO as AdaGO
from deva_core.adamw import AdamW as AdamW
from deva_core.backend import Backend as Backend
from deva_core.backend import replaceable as replaceable
from deva_core.checkpoint import CheckpointError as CheckpointError
from deva_core.coefficients import JORDAN as JORDAN
from deva_core.coefficients import POLAR_EXPRESS as POLAR_EXPRESS
from deva_core.coefficients import QUINTIC_5 as QUINTIC_5
from deva_core.deva import DeVA as DeVA
from deva_core.deva_vector import DeVAVector as DeVAVector
from deva_core.eager import Optimizer as Optimizer
from deva_core.eager import OptimizerState as OptimizerState
from deva_core.explain import EmbeddingWarning as EmbeddingWarning
from deva_core.explain import NoMatrixWarning as NoMatrixWarning
from deva_core.hyperparameter import Hyper as Hyper
from deva_core.hyperparameter import hyper as hyper
from deva_core.hyperparameter import hyperparameters as hyperparameters
from deva_core.hyperparameter import option as option
from deva_core.layout import Layout as Layout
from deva_core.lookup import Route as Route
from deva_core.muon import Muon as Muon
from deva_core.rule import Rule as Rule
from deva_core.specification import SPECIFICATION as SPECIFICATION
from deva_core.specification import SpecificationWarning as SpecificationWarning
from deva_core.telemetry import Telemetry as Telemetry
from deva_core.telemetry import observe as observe

RULES = (Muon, AdaGO, DeVA, DeVAVector, AdamW)
"""The rules of this package. Your own subclass of `Rule` works everywhere without being listed here."""

__version__ = "0.2.0"
