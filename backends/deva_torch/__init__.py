"""deva_torch: the rules as `torch.optim.Optimizer`s.

`Muon`, `AdaGO` and `DeVA` step matrices, and every other parameter by a vector rule; `DeVAVector` and `AdamW` step every
parameter. `RuleOptimizer` runs a rule of your own. `param_groups` routes a model's parameters by module type. `save` and
`load` handle the portable checkpoint, `import_state` and `export_state` other optimizers' state. `start` is the entry point
`deva.backends:torch`.
"""

from deva_torch._checkpoint import load as load
from deva_torch._checkpoint import save as save
from deva_torch._migrate import export_state as export_state
from deva_torch._migrate import import_state as import_state
from deva_torch._optimizer import RuleOptimizer as RuleOptimizer
from deva_torch._routing import param_groups as param_groups
from deva_torch._rules import AdaGO as AdaGO
from deva_torch._rules import AdamW as AdamW
from deva_torch._rules import DeVA as DeVA
from deva_torch._rules import DeVAVector as DeVAVector
from deva_torch._rules import Muon as Muon
from deva_torch._start import start as start
