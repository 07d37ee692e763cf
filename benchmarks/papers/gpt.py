"""A small GPT over bytes, and the English that ships with Python."""

import torch
from torch import nn
from torch.nn import functional as F

CONTEXT = 128


def text() -> tuple[torch.Tensor, torch.Tensor]:
    """Bytes of the topics of `help()`, in alphabetic order: nine tenths for training, the last for validation."""
    from pydoc_data.topics import topics

    data = torch.tensor(list("\n".join(topics[name] for name in sorted(topics)).encode()))
    cut = len(data) * 9 // 10
    return data[:cut], data[cut:]


def windows(data: torch.Tensor, starts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and the bytes that follow them, `(len(starts), CONTEXT)` each."""
    index = starts[:, None] + torch.arange(CONTEXT)
    return data[index], data[index + 1]


class Block(nn.Module):
    """Attention and a perceptron, each after a norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.up, self.down = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(batch, time, width)` to the same."""
        n = self.norm1(x)
        q, k, v = (f(n).unflatten(-1, (self.heads, -1)).transpose(1, 2) for f in (self.query, self.key, self.value))
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(attended.transpose(1, 2).flatten(-2))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    """Bytes in, logits of the next byte out."""

    def __init__(self, width: int = 128, layers: int = 5, heads: int = 4) -> None:
        super().__init__()
        self.bytes, self.places = nn.Embedding(256, width), nn.Embedding(CONTEXT, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 256, bias=False)
        for p in self.parameters():
            if p.ndim == 2:
                nn.init.normal_(p, std=0.02)
        for block in self.blocks:
            for p in (block.out.weight, block.down.weight):  # as in GPT-2: the residual stream grows with depth
                nn.init.normal_(p, std=0.02 / (2 * layers) ** 0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(batch, time)` to `(batch, time, 256)`."""
        return self.head(self.norm(self.blocks(self.bytes(x) + self.places.weight[: x.shape[1]])))

    def loss(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Mean cross entropy, in nats a byte."""
        return F.cross_entropy(self(inputs).flatten(0, 1), targets.flatten())

    def split(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """The matrices inside blocks, and everything else: embeddings, head, norms."""
        hidden = [p for p in self.blocks.parameters() if p.ndim == 2]
        inside = set(map(id, hidden))
        return hidden, [p for p in self.parameters() if id(p) not in inside]
