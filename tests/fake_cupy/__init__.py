"""A stand-in for CuPy that holds NumPy arrays. NO GPU CODE IS RUN, nothing here shows that a GPU computes anything.

It exists so that the logic of `deva_cupy` (hosts, policy, namespace, replacements, the boundary) can be run and put
through the conformance kit on a machine without a GPU. It is stricter than NumPy where CuPy is: host arrays do not mix
with device arrays, nothing converts silently, reductions stay arrays, 16-bit stacks have no matrix product, factors of
QR and eigendecompositions lie in columns (what is computed elementwise in rows), and between `guard.on` and its end
every read of a device value raises. It does not flush subnormals and rounds as a CPU does.

`install()` puts it in `sys.modules` as `cupy`; do so only in a process of its own, before anything imports CuPy.
"""

import sys
from types import ModuleType

VERSION = "14.2.0"
"""The CuPy release whose names and refusals are imitated."""


def install(capability: str = "90") -> ModuleType:
    """Make `import cupy` give the stand-in, with a device of this compute capability."""
    from tests.fake_cupy._module import modules

    if "cupy" in sys.modules:
        raise RuntimeError("cupy is imported already: install the stand-in in a process of its own")
    made = modules(VERSION, capability)
    sys.modules.update(made)
    return made["cupy"]
