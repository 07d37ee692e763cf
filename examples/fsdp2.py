"""FSDP2: one model sharded over processes, DeVA on all of it, saved by torch.distributed.checkpoint and resumed.

`torchrun --nproc-per-node 2 examples/fsdp2.py` trains a network on scikit-learn's digits for a few seconds on a CPU; with
GPUs the same lines run there (not tried). Each matrix is gathered by one process, which steps it and keeps its state.
Exit status 1: fewer than 95 % of the held-out digits were read.
"""

import os
import sys
import tempfile

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from sklearn.datasets import load_digits
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from deva_torch import DeVA

TRAINING, ENOUGH, STEPS, BATCH = 1437, 0.95, 120, 64


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """Images of 64 pixels and their labels, in an order of which the last 360 are held out."""
    data = load_digits()
    order = torch.randperm(len(data.target), generator=torch.Generator().manual_seed(0))
    return torch.tensor(data.images, dtype=torch.float32)[order].flatten(1) / 16, torch.tensor(data.target)[order]


def sharded(mesh) -> torch.nn.Module:
    """A network whose layers are sharded one by one, as FSDP2 wants it."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10)
    )
    for layer in net:
        fully_shard(layer, mesh=mesh)
    fully_shard(net, mesh=mesh)
    return net


def train(net, optimizer, scheduler, images, labels, steps) -> None:
    """Each process takes its own part of every batch."""
    rank, world = dist.get_rank(), dist.get_world_size()
    for step in steps:
        batch = torch.randint(TRAINING, (BATCH,), generator=torch.Generator().manual_seed(step))[rank::world]
        torch.nn.functional.cross_entropy(net(images[batch]), labels[batch]).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()


def begun(mesh):
    """A model, its optimizer and a schedule."""
    net = sharded(mesh)
    optimizer = DeVA(net.named_parameters(), lr=3e-3)
    return net, optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.02, total_steps=STEPS)


def saved_and_loaded(folder, net, optimizer, mesh):
    """The run in a new model and optimizer, by way of the disk."""
    model, state = get_state_dict(net, optimizer)
    dcp.save({"model": model, "optimizer": state}, checkpoint_id=folder)
    new, optimizer, scheduler = begun(mesh)
    model, state = get_state_dict(new, optimizer)
    found = {"model": model, "optimizer": state}
    dcp.load(found, checkpoint_id=folder)
    set_state_dict(new, optimizer, model_state_dict=found["model"], optim_state_dict=found["optimizer"])
    return new, optimizer, scheduler


def main() -> int:
    dist.init_process_group("gloo")  # "nccl" on GPUs
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    images, labels = digits()
    net, optimizer, scheduler = begun(mesh)
    train(net, optimizer, scheduler, images, labels, range(STEPS // 2))
    folder = [tempfile.mkdtemp() if dist.get_rank() == 0 else None]
    dist.broadcast_object_list(folder)
    net, optimizer, following = saved_and_loaded(folder[0], net, optimizer, mesh)
    following.load_state_dict(scheduler.state_dict())
    train(net, optimizer, following, images, labels, range(STEPS // 2, STEPS))
    with torch.no_grad():
        read = (net(images[TRAINING:]).argmax(1) == labels[TRAINING:]).float().mean().item()
    if dist.get_rank() == 0:
        print(optimizer.explain())
        print(f"{read:.1%} of {len(labels) - TRAINING} held-out digits read by {dist.get_world_size()} processes")
    dist.barrier()
    dist.destroy_process_group()
    return 0 if read >= ENOUGH else 1


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # gloo's threads may outlive the interpreter
