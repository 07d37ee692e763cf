"""Between NumPy arrays and tensors, by copy."""

import numpy as np
import torch


def to_torch(x: np.ndarray) -> torch.Tensor:
    """A copy as a tensor of the same dtype; bfloat16 arrives as `ml_dtypes.bfloat16`."""
    x = np.array(x, order="C")
    return (
        torch.from_numpy(x.view(np.int16)).view(torch.bfloat16) if x.dtype.name == "bfloat16" else torch.from_numpy(x)
    )


def to_numpy(x: torch.Tensor) -> np.ndarray:
    """A copy as an array of the same dtype."""
    x = x.detach().cpu().contiguous()
    if x.dtype != torch.bfloat16:
        return x.numpy().copy()
    import ml_dtypes

    return x.view(torch.int16).numpy().copy().view(ml_dtypes.bfloat16)
