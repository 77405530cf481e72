"""Importing large libraries."""

import gc
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def large_imports() -> Iterator[None]:
    """Around the imports of PyTorch and its like: modules stay, and looking for garbage in them takes an eighth of the
    time. What is there at the end is never looked at again.

    Torchvision, where SGLang brought it, is hidden from Transformers, which would import it with every configuration:
    a tenth of the time, and nothing here reads images.

    Raises OSError naming compiled code that was cut short: Python does not look whether a full disk took all of it.
    """
    sys.modules.setdefault("torchvision", None)  # type: ignore[arg-type]
    gc.disable()
    try:
        yield
    except EOFError as error:  # of which typer says "Aborted." and nothing more
        frames = (frame.f_locals for frame, _ in traceback.walk_tb(error.__traceback__))
        path = next((names["bytecode_path"] for names in frames if names.get("bytecode_path")), None)
        if path is None:
            raise
        raise OSError(f"{path}: compiled code that was cut short, as by a full disk; delete it") from None
    finally:
        gc.freeze()
        gc.enable()
