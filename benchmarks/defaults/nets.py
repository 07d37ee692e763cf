"""Small networks over images, as their users would write them."""

import torch
from torch import nn


class ConvNet(nn.Module):
    """Two convolutions with batch norms, a mean over places, a linear head. Images are `(batch, channels, y, x)`."""

    def __init__(self, classes: int, channels: int = 1, width: int = 16) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.BatchNorm2d(2 * width), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(2 * width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """To `(batch, classes)`."""
        return self.head(self.features(x).mean((-2, -1)))


class ViT(nn.Module):
    """Patches, positions, torch's own encoder with its norms first, a mean over patches, a linear head."""

    def __init__(self, classes: int, size: int = 8, patch: int = 2, width: int = 64, layers: int = 2) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, patch, stride=patch)
        self.positions = nn.Parameter(0.02 * torch.randn((size // patch) ** 2, width))
        block = nn.TransformerEncoderLayer(
            width, 4, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(block, layers, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """To `(batch, classes)`."""
        tokens = self.patches(x).flatten(-2).transpose(-2, -1) + self.positions
        return self.head(self.norm(self.encoder(tokens)).mean(-2))


class Mixer(nn.Module):
    """An embedding of patches by a convolution, one residual convolution, a perceptron on all places, a linear head."""

    def __init__(self, classes: int, channels: int = 3, size: int = 12, width: int = 24) -> None:
        super().__init__()
        places = (size // 3) ** 2
        self.patches = nn.Conv2d(channels, width, 3, stride=3)
        self.norm, self.near = nn.GroupNorm(4, width), nn.Conv2d(width, width, 3, padding=1)
        self.up, self.down = nn.Linear(places * width, 96), nn.Linear(96, 48)
        self.head = nn.Linear(48, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """To `(batch, classes)`."""
        x = self.patches(x)
        x = (x + self.near(self.norm(x).relu())).flatten(1)
        return self.head(self.down(self.up(x).relu()).relu())
