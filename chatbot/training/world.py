"""The processes that train one bot together, as torchrun starts them. Usually it is one.

A step is the same step however many share it: each learns from its rows of the batch, and gradients are
summed over all targets of all of them. So a training may go on with another number of processes.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.fsdp import fully_shard
from torch.distributed.rendezvous import rendezvous
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from chatbot.errors import TrainingError

T = TypeVar("T")

PATIENCE = timedelta(hours=2)  # for the others: the main process may have a large corpus to read


class World:
    """One process. What is said here of all processes is true of more: see Together.

    Methods are called by all processes, in the same order.
    """

    rank = 0
    size = 1
    neighbours = 1  # processes on this machine, this one included

    @property
    def main(self) -> bool:
        """Whether this is the process that reads, writes and speaks."""
        return self.rank == 0

    def share(self, value: T) -> T:
        """The main process's value, for all; what the others give is not looked at."""
        return value

    def gather(self, value: T) -> list[T]:
        """Everybody's values, by rank."""
        return [value]

    def total(self, *values: float) -> list[float]:
        """The sums of everybody's values."""
        return list(values)

    def learner(self, model: nn.Module, shard: bool) -> nn.Module:
        """The model, such that its gradients are everybody's mean.

        shard: each process keeps a part of the weights alone, and gathers a layer when it needs it.
        """
        return model


class Together(World):
    """Several processes of torch.distributed."""

    def __init__(self) -> None:
        self.rank, self.size = distributed.get_rank(), distributed.get_world_size()
        if not torch.cuda.is_available():  # they share the memory
            self.neighbours = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))

    def share(self, value: T) -> T:
        holder: list[Any] = [value if self.main else None]  # Any: whatever can be pickled
        distributed.broadcast_object_list(holder)
        shared: T = holder[0]
        return shared

    def gather(self, value: T) -> list[T]:
        holder: list[Any] = [None] * self.size
        distributed.all_gather_object(holder, value)
        return holder

    def total(self, *values: float) -> list[float]:
        tensor = torch.tensor(values, dtype=torch.float64)
        distributed.all_reduce(tensor)
        sums: list[float] = tensor.tolist()
        return sums

    def learner(self, model: nn.Module, shard: bool) -> nn.Module:
        if not shard:
            return DistributedDataParallel(model)
        # Of what a layer returns nothing is changed in place.
        warnings.filterwarnings("ignore", "FSDP2-wrapped module")
        device = next(model.parameters()).device.type
        mesh = init_device_mesh(device, (self.size,))
        stacks = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
        for layer in (layer for stack in stacks for layer in stack):
            fully_shard(layer, mesh=mesh)
        fully_shard(model, mesh=mesh)
        return model


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor, of which every process may have a part."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def part(tensor: Tensor, like: Tensor) -> Tensor:
    """Of a whole tensor what this process keeps, if that is kept as `like` is."""
    tensor = tensor.to(like.device)
    if not isinstance(like, DTensor) or tensor.shape != like.shape:  # a count of steps has no parts
        return tensor
    return distribute_tensor(tensor, like.device_mesh, like.placements)


@contextmanager
def joined() -> Iterator[World]:
    """The world that torchrun's environment variables tell of, while the block runs."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield World()
        return
    gpus = torch.cuda.device_count()
    if gpus:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % gpus)
    # Plain numbers and objects go by way of the CPU in any case.
    _begin("cpu:gloo,cuda:nccl" if gpus else "gloo")
    try:
        yield Together()
    except RuntimeError as error:  # torch has no class of its own for it
        if not isinstance(error, distributed.DistError) and "by peer" not in str(error):
            raise
        raise TrainingError(
            "another process of this training was lost",
            "go on with --resume; with --max-restarts 3, torchrun does it by itself",
        ) from None
    finally:
        distributed.destroy_process_group()


def _begin(backend: str) -> None:
    store, rank, size = next(rendezvous("env://"))
    if os.environ.get("GROUP_WORLD_SIZE") == "1":
        # torchrun begins again with the same store, where the addresses of lost processes still stand.
        store = PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), store)
    distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)


def run_id() -> str:
    """torchrun's name of this run, the same when it begins again after a process was lost; "" without one."""
    name = os.environ.get("TORCHELASTIC_RUN_ID", "")
    return "" if name == "none" else name  # what it is called if nobody named it
