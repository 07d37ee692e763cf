"""What the distributed tests run in each of several processes: `python -m tests.gloo RANK WORLD FOLDER`.

Every rank trains one model sharded and, for comparison, whole; rank 0 writes what was found as JSON.
"""

import copy
import json
import os
import sys
import weakref
from pathlib import Path
from unittest import mock

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import deva_torch

RULES = ("Muon", "AdaGO", "DeVA")
STEPS = 4


def model():
    """Matrices of 5 and 3 rows, and a bias of 3 entries: over 2 and 3 ranks shards are uneven, over 4 some are empty."""
    torch.manual_seed(0)
    sizes = (6, 5), (5, 8), (8, 8), (8, 8), (8, 3)
    layers = [torch.nn.Linear(*size) for size in sizes]
    return torch.nn.Sequential(*layers, torch.nn.Conv1d(1, 2, 3)).double()


LAYOUT = {"5.weight": "out in k"}
X = torch.randn(8, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def optimizer_of(name, net, **options):
    return getattr(deva_torch, name)(net.named_parameters(), layout=LAYOUT, **options)


def train(net, optimizer, steps, clip=None):
    for _ in range(steps):
        optimizer.zero_grad()
        hidden = torch.tanh(net[4](torch.tanh(net[3](net[2](net[1](net[0](X)))))))
        net[5](hidden[:, None]).square().sum().backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(net.parameters(), clip)
        optimizer.step()


def sharded(mesh):
    net = model()
    for layer in net:
        fully_shard(layer, mesh=mesh)
    return fully_shard(net, mesh=mesh)


def placed(mesh, placements):
    """The distance of a parameter laid so over a mesh from the whole one."""
    generator = torch.Generator().manual_seed(2)
    W, *gradients = torch.randn(STEPS + 1, 5, 7, dtype=torch.float64, generator=generator)
    params = [torch.nn.Parameter(W.clone()), torch.nn.Parameter(distribute_tensor(W, mesh, placements))]
    for p in params:
        optimizer = deva_torch.DeVA([p])
        for G in gradients:
            p.grad = distribute_tensor(G, mesh, placements) if isinstance(p, DTensor) else G
            optimizer.step()
    return float((whole(params[1]) - params[0]).norm() / (params[0] - W).norm())


class Attention(torch.nn.Module):
    """A fused projection, an embedding and a norm, for `param_groups`."""

    def __init__(self):
        super().__init__()
        self.embedding, self.norm = torch.nn.Embedding(50, 8), torch.nn.LayerNorm(8)
        self.attention = torch.nn.MultiheadAttention(
            8, 2, bias=False, batch_first=True
        )  # keys' bias: gradients of rounding alone

    def forward(self, x):
        y = self.norm(self.embedding(x))
        return self.attention(y, y, y, need_weights=False)[0]


def routed(mesh):
    """The distance of a sharded model under `param_groups` from the same on one process."""
    nets = []
    for shards in (False, True):
        torch.manual_seed(0)
        net = Attention().double()
        nets.append(fully_shard(net, mesh=mesh) if shards else net)
        optimizer = deva_torch.Muon(deva_torch.param_groups(net), lr=0.02)
        for k in range(3):
            optimizer.zero_grad()
            net(torch.arange(k, k + 12).reshape(2, 6)).square().sum().backward()
            optimizer.step()
    pairs = zip(*(net.parameters() for net in nets), strict=True)
    return max(float((whole(a) - whole(b)).norm() / whole(a).norm()) for a, b in pairs)


def whole(x):
    return (x.full_tensor() if isinstance(x, DTensor) else x).detach()


def apart(net, other):
    """The largest distance of any parameter, relative to the distance that the second model has walked."""
    pairs = zip(net.parameters(), other.parameters(), model().parameters(), strict=True)
    return max(float((whole(a) - whole(b)).norm() / (whole(b) - start).norm()) for a, b, start in pairs)


def single(name, steps, **options):
    net = model()
    optimizer = optimizer_of(name, net)
    train(net, optimizer, steps, **options)
    return net, optimizer


class Live(TorchDispatchMode):
    """The most bytes alive at once of tensors made inside; `before` are those that were there."""

    def __init__(self, before):
        super().__init__()
        self.seen, self.now, self.peak = {x.untyped_storage()._cdata for x in before}, 0, 0

    def freed(self, key, size):
        self.seen.discard(key)
        self.now -= size

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for x in tree_leaves(out):
            if isinstance(x, torch.Tensor) and not isinstance(x, DTensor):
                storage = x.untyped_storage()
                key, size = storage._cdata, storage.nbytes()
                if key not in self.seen:
                    self.seen.add(key)
                    self.now += size
                    self.peak = max(self.peak, self.now)
                    weakref.finalize(storage, self.freed, key, size)
        return out


def peak(mesh, count, side=64):
    """Bytes that a step makes for so many matrices, one gathered at a time by each rank."""
    layers = [torch.nn.Linear(side, side, bias=False).double() for _ in range(count)]
    params = [torch.nn.Parameter(distribute_tensor(layer.weight.detach(), mesh, [Shard(0)])) for layer in layers]
    optimizer = deva_torch.Muon(params)
    with mock.patch("deva_torch._shards.CHUNK_BYTES", 8 * side * side):
        for _ in range(2):
            for p in params:
                p.grad = torch.ones_like(p)
            states = [x for state in optimizer.state.values() for x in state.values() if isinstance(x, torch.Tensor)]
            with Live([x.to_local() for p in params for x in (p.detach(), p.grad)] + states) as live:
                optimizer.step()
    return live.peak / (8 * side * side)


def counted(mesh):
    """How many matrices this rank orthogonalises in a step."""
    import deva_core.muon as muon

    net = sharded(mesh)
    optimizer, seen, polar = optimizer_of("Muon", net), [], muon.polar
    with mock.patch.object(muon, "polar", lambda X, *rest: (seen.append(X.shape[:-2].numel()), polar(X, *rest))[1]):
        train(net, optimizer, 1)
    found = [torch.zeros(1) for _ in range(dist.get_world_size())]
    dist.all_gather(found, torch.tensor([float(sum(seen))]))
    return [int(x) for x in found]


def shown_kinds(optimizer):
    """The types of the tensors of a state dict."""
    states = optimizer.state_dict()["state"].values()
    return sorted({type(x).__name__ for state in states for x in state.values() if isinstance(x, torch.Tensor)})


def poisoned(mesh):
    """Which parameters are not finite after NaN in the gradient of one."""
    net = sharded(mesh)
    optimizer = optimizer_of("Muon", net)
    train(net, optimizer, 1)
    net[1].weight.grad.to_local().fill_(float("nan"))
    optimizer.step()
    return [name for name, p in net.named_parameters() if not bool(whole(p).isfinite().all())]


def divided_by_ddp(name):
    """DDP's case: plain parameters on every rank, the work divided."""
    net = model()
    optimizer = optimizer_of(name, net, process_group=dist.group.WORLD)
    train(net, optimizer, 2)
    other = model()
    other.load_state_dict(net.state_dict())
    resumed = optimizer_of(name, other, process_group=dist.group.WORLD)
    resumed.load_state_dict(optimizer.state_dict())
    train(other, resumed, STEPS - 2)
    return apart(other, single(name, STEPS)[0])


def saved(mesh, folder, name):
    """DCP and the portable checkpoint, written here."""
    net = sharded(mesh)
    optimizer = optimizer_of(name, net)
    train(net, optimizer, STEPS)
    dcp.save({"optimizer": get_optimizer_state_dict(net, optimizer)}, checkpoint_id=str(folder / f"dcp-{name}"))
    deva_torch.save(folder / f"{name}.safetensors", optimizer)


def resumed(net, folder, name, portable):
    """The distance from one process after going on from what other ranks wrote."""
    reference, _ = single(name, STEPS)
    with torch.no_grad():
        for p, W in zip(net.parameters(), reference.parameters(), strict=True):
            p.copy_(distribute_tensor(W.detach(), p.device_mesh, p.placements) if isinstance(p, DTensor) else W)
    optimizer = optimizer_of(name, net)
    if portable:
        deva_torch.load(folder / f"{name}.safetensors", optimizer)
    else:
        state = {"optimizer": get_optimizer_state_dict(net, optimizer)}
        dcp.load(state, checkpoint_id=str(folder / f"dcp-{name}"))
        set_optimizer_state_dict(net, optimizer, state["optimizer"])
    train(net, optimizer, 2)
    return apart(net, single(name, STEPS + 2)[0])


def refused(mesh):
    """What is said of parameters whose placement cannot be gathered, of copies, and of moving and pickling."""
    from torch.distributed.tensor import Partial

    p = torch.nn.Parameter(DTensor.from_local(torch.ones(4, 4), mesh, [Partial()]))
    copies = torch.nn.Parameter(distribute_tensor(torch.ones(4, dtype=torch.bfloat16), mesh, [Replicate()]))
    said, divided = [], deva_torch.Muon([torch.ones(4, 4)], process_group=dist.group.WORLD)
    tries = (
        lambda: deva_torch.Muon([p]),
        lambda: deva_torch.AdamW([copies], rounding="stochastic"),
        lambda: deva_torch.import_state(divided, torch.optim.SGD([torch.ones(4, 4)]), "torch"),
        lambda: copy.deepcopy(divided),
    )
    for attempt in tries:
        try:
            attempt()
        except (ValueError, TypeError) as error:
            said.append(str(error))
    return said


def checks(mesh, world, folder):
    found = {}
    for name in RULES:
        net = sharded(mesh)
        optimizer = optimizer_of(name, net)
        train(net, optimizer, STEPS)
        found[f"fsdp2 {name}"] = apart(net, single(name, STEPS)[0])
        found[f"kinds {name}"] = shown_kinds(optimizer)
        found[f"ddp {name}"] = divided_by_ddp(name)
    found["columns"] = placed(mesh, [Shard(1)])
    shapes = ((1, world), (world, 1)) if world < 4 else ((2, 2),)
    two = [init_device_mesh("cpu", shape, mesh_dim_names=("replicas", "shards")) for shape in shapes]
    found["replicated"] = max(placed(both, [Replicate(), Shard(0)]) for both in two)
    found["cut twice"] = max(placed(both, [Shard(0), Shard(1)]) for both in two)
    net = sharded(mesh)
    train(net, optimizer_of("Muon", net), STEPS, clip=0.1)
    found["clipped"] = apart(net, single("Muon", STEPS, clip=0.1)[0])
    found["routed"] = routed(mesh)
    found |= {"counts": counted(mesh), "not finite": poisoned(mesh), "refused": refused(mesh)}
    found["peaks"] = [peak(mesh, count) for count in (2 * world, 8 * world)]
    for name in ("Muon", "DeVA"):
        if world == 2:
            saved(mesh, folder, name)
        elif world == 3:
            found[f"dcp {name}"] = resumed(sharded(mesh), folder, name, portable=False)
            found[f"portable {name}"] = resumed(sharded(mesh), folder, name, portable=True)
    return found


def main(rank, world, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store-{world}", rank=rank, world_size=world)
    found = checks(init_device_mesh("cpu", (world,)), world, folder)
    if rank == 0:
        (folder / f"found-{world}.json").write_text(json.dumps(found), encoding="utf-8")
    dist.barrier()
    dist.destroy_process_group()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
