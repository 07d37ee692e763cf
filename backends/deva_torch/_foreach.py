"""One operation over lists of tensors. torch uses and keeps these for its own optimizers, but does not export them."""

from typing import Any

import torch

_torch: Any = torch

add_, add, sub, copy_ = _torch._foreach_add_, _torch._foreach_add, _torch._foreach_sub, _torch._foreach_copy_
