"""deva_jax: the rules as optax `GradientTransformation`s.

`muon`, `adago`, `deva` (with a vector rule for what is no matrix), `deva_vector`, `adamw`; `transform` for a rule of your
own; `explain` shows which parameter gets what, `routes` decides it by flax's and equinox's names;
`save` and `load` the portable checkpoint; `start` is the entry point `deva.backends:jax`.
"""

from deva_jax._checkpoint import load as load
from deva_jax._checkpoint import save as save
from deva_jax._migrate import export_state as export_state
from deva_jax._migrate import import_state as import_state
from deva_jax._routing import routes as routes
from deva_jax._rules import adago as adago
from deva_jax._rules import adamw as adamw
from deva_jax._rules import deva as deva
from deva_jax._rules import deva_vector as deva_vector
from deva_jax._rules import muon as muon
from deva_jax._start import start as start
from deva_jax._transform import RuleState as RuleState
from deva_jax._transform import Slot as Slot
from deva_jax._transform import explain as explain
from deva_jax._transform import transform as transform
