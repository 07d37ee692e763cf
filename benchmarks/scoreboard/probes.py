"""Findings that no law of the kit speaks of: programs of the peer alone, run again with the board.

Each prints one line, of which `seen` was the state when it was written; the page prints what it prints now.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Probe:
    """A program for a peer's environment, what it is (`notes.KINDS`, or a choice), what it shows, where that is known."""

    entry: str
    kind: str
    program: str
    says: str
    upstream: str = ""


PROBES = (
    Probe(
        "torch/TorchMuon",
        "defect",
        "import torch; p = torch.nn.Parameter(torch.zeros(2, 2, dtype=torch.bfloat16)); p.grad = 2 * torch.ones_like(p); "
        "o = torch.optim.Muon([p], nesterov=False); o.step(); print(o.state[p]['momentum_buffer'].max().item())",
        "bfloat16 without Nesterov: the momentum after one step should be 0.05 · 2 = 0.1; it holds the normalised copy "
        "instead, since the cast to bfloat16 is none and the division is in place.",
        "[pytorch#194664](https://github.com/pytorch/pytorch/pull/194664)",
    ),
    Probe(
        "mlx/MlxMuon",
        "choice",
        "import mlx.core as mx, mlx.optimizers as o; mx.set_default_device(mx.cpu); W = {'w': mx.eye(2)}; "
        "m = o.Muon(0.1, weight_decay=0.5); print(m.apply_gradients({'w': mx.zeros((2, 2))}, W)['w'].tolist()[0][0])",
        "Decay is an L2 penalty, as documented: it goes through the orthogonalisation. Under a zero gradient, decoupled decay "
        "would leave 0.95. A legitimate choice; a `weight_decay` from a decoupled recipe means another thing here.",
    ),
    Probe(
        "mlx/MlxMuon",
        "corner",
        "import mlx.core as mx, mlx.optimizers as o; mx.set_default_device(mx.cpu); "
        "G = mx.random.normal((256, 3, 3, 8), key=mx.random.key(0)); "
        "step = lambda G: mx.linalg.norm(o.Muon(1.0, weight_decay=0.0)"
        ".apply_gradients({'w': G}, {'w': 0 * G})['w'].flatten()).item(); "
        "print(round(step(G) / step(G.reshape(256, -1)), 3))",
        "A convolution (256, 3, 3, 8) is orthogonalised as the matrix 256 × 72, but its shape factor is taken after the update "
        "has its four axes again, from the last two: √max(1, 3/8), not √(256/72). It moves 0.53 times as far as the same "
        "weights as a matrix. Keller Jordan's code takes the factor from the kernel's axes, too. Taking it before the update "
        "is shaped back would give the matrix's.",
    ),
)
