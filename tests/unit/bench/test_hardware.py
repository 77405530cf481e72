"""The report's words for what a measurement ran on."""

import os

import torch

from eyrie.bench.hardware import describe_device


def test_a_processor_is_named_with_its_cores_and_the_servers_threads() -> None:
    text = describe_device(torch.device("cpu"), num_threads=1)
    assert text.startswith("cpu: ")
    assert f"{os.cpu_count()} cores, 1 thread a server" in text
