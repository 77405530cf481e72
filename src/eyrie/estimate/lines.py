"""The form of an estimate: lines of arithmetic, and the device that they are for.

In: resources/estimate/hardware.yaml. Out: `Estimate`, to which plan.py adds, and how figures are put in words.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from eyrie.estimate.sizes import HeadSize

HARDWARE = Path("resources/estimate/hardware.yaml")
USABLE = 0.9  # of a device's memory


@dataclass(frozen=True)
class Line:
    """`value` in words, and how it came about."""

    name: str
    value: str
    arithmetic: str


@dataclass(frozen=True)
class Device:
    name: str
    count: int
    flops: float  # per second, each, as assumed to be reached
    bytes_per_s: float  # memory bandwidth, the same
    memory_bytes: float

    @property
    def all_flops(self) -> float:
        return self.count * self.flops

    @property
    def all_bytes_per_s(self) -> float:
        return self.count * self.bytes_per_s


@dataclass(frozen=True)
class Lengths:
    """Assumed means, tokens."""

    prompt: int
    answer: int


@dataclass
class Estimate:
    lines: list[Line] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)  # by stage
    memory_bytes: dict[str, float] = field(default_factory=dict)  # by stage, of all devices; train_head: of one
    num_tokens: int = 0
    feature_bytes: int = 0
    head: HeadSize | None = None

    def add(self, name: str, value: str, arithmetic: str) -> None:
        self.lines.append(Line(name, value, arithmetic))


def read_device(name: str, count: int) -> Device:
    """Raises ValueError with the names there are."""
    hardware = read_hardware()
    if name not in hardware["devices"]:
        raise ValueError(f"--gpu {name}: not in {HARDWARE}; there are {', '.join(hardware['devices'])}")
    found, efficiency = hardware["devices"][name], hardware["efficiency"]
    return Device(
        name=name,
        count=count,
        flops=found["tflops"] * 1e12 * efficiency["compute"],
        bytes_per_s=found["bandwidth_gb_s"] * 1e9 * efficiency["bandwidth"],
        memory_bytes=found["memory_gb"] * 1e9,
    )


def add_memory(estimate: Estimate, stage: str, needed: float, device: Device, arithmetic: str) -> None:
    estimate.memory_bytes[stage] = needed
    wanted = -(-needed // (USABLE * device.memory_bytes))
    verdict = "fits" if wanted <= device.count else f"needs {wanted:.0f} of them"
    estimate.add(
        f"{stage}, peak memory",
        f"{needed / 1e9:.1f} GB",
        f"{arithmetic}; {device.count} x {device.name} of {device.memory_bytes / 1e9:.0f} GB: {verdict}",
    )


def read_hardware() -> dict[str, Any]:
    hardware: dict[str, Any] = yaml.safe_load(HARDWARE.read_text(encoding="utf-8"))
    return hardware


def in_hours(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 3600:.1f} h"


def teraflops(flops: float) -> str:
    return f"{flops / 1e12:,.3g} TFLOP/s"
