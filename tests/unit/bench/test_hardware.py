"""The report's words for what a measurement ran on."""

import os

import pytest
import torch

from eyrie.bench.hardware import conditions, describe_device


def test_a_processor_is_named_with_its_cores_and_the_servers_threads() -> None:
    text = describe_device(torch.device("cpu"), num_threads=1)
    assert text.startswith("cpu: ")
    assert f"{os.cpu_count()} cores, 1 thread a server" in text


def test_what_speeds_depend_on_names_versions_and_the_servers_of_the_arms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EYRIE_NAMED_SERVERS", "eagle3=http://10.0.0.1:30000,other=http://10.0.0.2:1")
    found = conditions("cpu: x", ["baseline", "eagle3"])
    assert found["device"] == "cpu: x"
    assert found["torch"] == torch.__version__
    assert {name: value for name, value in found.items() if name.startswith("server")} == {
        "server of eagle3": "http://10.0.0.1:30000"
    }
