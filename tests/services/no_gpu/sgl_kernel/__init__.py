"""A stand-in for the CPU build of `sgl_kernel`, which no package registry has: enough of it, in plain PyTorch, to start
the real SGLang server on a machine without a GPU. For tests only; slow, and exact rather than fast.

The ops are written from the signatures at their call sites in SGLang 0.5.23. A name that is not here can be imported
(SGLang imports many) but raises when it is called. `scalar_type`, pure Python, is the installed package's own.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ._ops import IMPORTED, OPS, SPECULATIVE

__version__ = "0.0.0+test"


def _missing(name: str) -> Callable[..., Any]:
    def refuse(*_args: Any, **_kwargs: Any) -> Any:
        raise NotImplementedError(f"the tests' sgl_kernel has no {name}")

    refuse.__name__ = name.rpartition(".")[2]
    return refuse


class _Empty(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _missing(f"{self.__name__}.{name}")


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Any submodule: the installed `scalar_type`, or an empty module."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if fullname == "sgl_kernel.scalar_type":
            for folder in sys.path:
                real = Path(folder) / "sgl_kernel" / "scalar_type.py"
                if real.is_file():
                    return importlib.util.spec_from_file_location(fullname, real)
        if fullname.startswith("sgl_kernel.") and fullname != "sgl_kernel._ops":
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _Empty(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return SPECULATIVE.get(name) or _missing(name)


sys.meta_path.insert(0, _Finder())
for _op in OPS:
    setattr(torch.ops.sgl_kernel, _op.__name__, _op)
for _name in IMPORTED:
    setattr(torch.ops.sgl_kernel, _name, _missing(f"ops.{_name}"))
