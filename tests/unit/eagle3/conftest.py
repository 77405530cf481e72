"""A device to test for that no machine of the tests has."""

from collections.abc import Iterator

import pytest


@pytest.fixture
def absent_gpu() -> Iterator[None]:
    """Tensors on a GPU that need not be there: PyTorch follows devices, types and shapes, and computes nothing."""
    import torch

    with torch._subclasses.FakeTensorMode():
        yield
