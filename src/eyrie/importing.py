"""Importing large libraries."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def large_imports() -> Iterator[None]:
    """Around the imports of PyTorch and its like: modules stay, and looking for garbage in them takes an eighth of the
    time. What is there at the end is never looked at again.

    Torchvision, where SGLang brought it, is hidden from Transformers, which would import it with every configuration:
    a tenth of the time, and nothing here reads images.
    """
    sys.modules.setdefault("torchvision", None)  # type: ignore[arg-type]
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
