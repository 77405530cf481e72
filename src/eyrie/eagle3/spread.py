"""How one head is spread over processes: whole on one, a copy on each (DDP), or a part on each (FSDP2).

In: the loss module of this process. Out: its loss, gradients averaged over the processes, and whole tensors where
something is saved. With FSDP2 every process keeps its part of each weight, gradient and optimizer moment, and has all
weights together only between the start of a forward and the end of its backward: the head is one group, because
nearly all of it is one layer. Source: `torch.distributed.fsdp.fully_shard` and its DTensors.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from eyrie.eagle3.batches import PackedBatch
from eyrie.eagle3.head import Eagle3Head
from eyrie.eagle3.loss import TttLoss

# Each gradient is exchanged by itself: most are large. Buckets of several are laid out anew after a process's first
# step, and where in a bucket a value lies decides in which order three processes or more add it up: a resumed run would
# differ from one that was not interrupted.
BUCKETS_MB = [0]


class Spread:
    """Make it before the optimizer: with FSDP2 the head's parameters become DTensors, in place."""

    def __init__(self, module: TttLoss, *, kind: Literal["ddp", "fsdp"], world_size: int) -> None:
        self._module = module
        self._ddp: DistributedDataParallel | None = None
        self._fsdp: FSDPModule | None = None
        if world_size > 1 and kind == "ddp":
            self._ddp = DistributedDataParallel(module, bucket_cap_mb_list=BUCKETS_MB)
        elif world_size > 1:
            mesh = init_device_mesh(module.embedding_VH.device.type, (world_size,))
            self._fsdp = fully_shard(module, mesh=mesh)

    def loss(self, batch: PackedBatch, row_counts: Sequence[int]) -> Tensor:
        """This process's share of the loss, a scalar."""
        loss: Tensor = (self._ddp or self._module)(batch, row_counts)[0]
        return loss

    @contextmanager
    def gradients(self, *, exchanged: bool) -> Iterator[None]:
        """Inside, a forward and its backward; processes exchange gradients once per step, after the last one."""
        if self._fsdp is not None:
            self._fsdp.set_requires_gradient_sync(exchanged)
        if self._ddp is None or exchanged:
            yield
        else:
            with self._ddp.no_sync():
                yield

    @contextmanager
    def whole_weights(self) -> Iterator[None]:
        """Inside, the head's weights are whole on every process, to be read."""
        if self._fsdp is None:
            yield
            return
        self._fsdp.unshard()
        try:
            yield
        finally:
            self._fsdp.reshard()


def whole(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same names with every part put together. All processes must call it together."""
    return {name: t.full_tensor() if isinstance(t, DTensor) else t for name, t in tensors.items()}


def part_like(tensor: Tensor, like: Tensor) -> Tensor:
    """Of a whole tensor that every process has, what this one keeps of `like`; on its device."""
    if isinstance(like, DTensor):
        on_device = tensor.to(like.device)
        return distribute_tensor(on_device, like.device_mesh, like.placements, src_data_rank=None)
    return tensor.to(like.device)


def as_exported(head: Eagle3Head, device: torch.device, dtype: torch.dtype) -> Eagle3Head:
    """A copy of a head with whole weights, rounded as the exported file has them, to be read in `dtype`."""
    with torch.device("meta"):  # no weights are drawn and thrown away
        copy = Eagle3Head(head.config)
    weights = {name: weight.detach().to(torch.bfloat16).to(dtype) for name, weight in head.named_parameters()}
    copy.load_state_dict(weights | {"d2t": head.d2t, "t2d": head.t2d}, assign=True)
    copy.frequencies_D = head.frequencies_D
    return copy.to(device).eval().requires_grad_(False)
