"""The count of operations behind the share of a device's peak (MFU), against the products that really run."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from eyrie.eagle3 import flops
from eyrie.eagle3.batches import num_supervised, pack
from eyrie.eagle3.flops import PEAK_TFLOPS, Speed, peak_flops, step_operations
from eyrie.eagle3.loss import TttLoss
from eyrie.eagle3.objective import Objective
from eyrie.estimate.lines import read_hardware
from tests.unit.eagle3.tiny import KINDS, document, tiny


class CountProducts(TorchDispatchMode):
    """Counts the operations of matrix products, and of attention forwards with twice as many backwards."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name in {"mm", "bmm", "addmm", "addmm_"}:
            left = args[name.startswith("addmm")]
            self.operations += 2 * left.shape[-1] * out.numel()
        elif name == "_scaled_dot_product_flash_attention_for_cpu":
            queries, keys = args[:2]
            is_causal = len(args) > 4 and args[4]
            num_queries, num_keys = queries.shape[2], keys.shape[2]
            pairs = num_queries * (num_queries + 1) // 2 if is_causal else num_queries * num_keys
            self.operations += 3 * 4 * pairs * queries.shape[0] * queries.shape[1] * queries.shape[3]
        return out


@pytest.mark.parametrize("num_steps", [1, 3])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("loss", ["kl", "lk", "lk_hybrid"])
def test_operations_of_a_step_are_those_of_its_products_and_attention(
    loss: Literal["kl", "lk", "lk_hybrid"], kind: dict[str, Any], num_steps: int
) -> None:
    made = tiny(torch.float32, kind=kind)
    documents = [document(60, [(10, 60)]), document(40, [(5, 20), (25, 40)], seed=1)]
    counts = [num_supervised(documents, step) for step in range(num_steps)]
    objective = Objective(num_steps, 0.8, loss)
    module = TttLoss(made.head, made.embedding_VH, made.teacher, objective, recompute=False)
    with CountProducts() as counted:
        module(pack(documents, torch.device("cpu")), counts)[0].backward()
    config = made.head.config
    diagonals = config.num_hidden_layers * counts[0] * sum(range(num_steps))  # attended to without a matrix product
    elementwise = 3 * 4 * diagonals * config.num_attention_heads * config.head_dim
    # not exact: the last rows of an answer are counted at every step, and have no teacher at the later ones
    assert step_operations(config, documents, objective) == pytest.approx(counted.operations + elementwise, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "tflops"),
    [
        ("NVIDIA H100 80GB HBM3", 989.0),
        ("NVIDIA H100 PCIe", 756.0),
        ("NVIDIA H100 NVL", 835.0),
        ("NVIDIA A100-SXM4-80GB", 312.0),
        ("NVIDIA A100-SXM4-80GB MIG 1g.10gb", None),
        ("NVIDIA L40S", 362.0),
        ("NVIDIA L40", 181.0),
        ("NVIDIA L4", 121.0),
        ("NVIDIA A10G", 70.0),
        ("NVIDIA RTX A1000", None),
        ("NVIDIA GH200 480GB", None),
        ("NVIDIA GeForce GTX 750", None),
    ],
)
def test_a_devices_name_gives_its_peak_and_not_that_of_a_name_inside_it(name: str, tflops: float | None) -> None:
    assert peak_flops(name) == (tflops and tflops * 1e12)


def test_peaks_are_those_that_estimates_reckon_with() -> None:
    stated = {name: device["tflops"] for name, device in read_hardware()["devices"].items() if name in PEAK_TFLOPS}
    assert stated == {name: PEAK_TFLOPS[name] for name in stated}
    assert len(stated) == 5


def test_speed_shows_mfu_only_where_the_device_and_its_precision_have_a_known_peak(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(flops.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "NVIDIA H100 80GB HBM3")
    shown = []
    for device, dtype in (("cuda", "bfloat16"), ("cuda", "float32"), ("cpu", "bfloat16")):
        now[0] = 100.0
        speed = Speed(torch.device(device), dtype)
        speed.add(num_tokens=30_000, operations=989e12)
        now[0] = 102.0
        shown.append(str(speed))
    assert shown == ["15000 tokens/s, MFU 50%", "15000 tokens/s", "15000 tokens/s"]
