"""deva_jax: the rules as optax `GradientTransformation`s.

`muon`, `adago` and `deva` update matrices, and every other parameter by a vector rule; `deva_vector` and `adamw` update
every parameter. `transform` runs a rule of your own. `explain` shows which rule each parameter gets, and `routes` decides
it by flax's and equinox's names. `save` and `load` handle the portable checkpoint, `import_state` and `export_state`
optax's states. `start` is the entry point `deva.backends:jax`.
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
