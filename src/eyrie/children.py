"""Child processes that do not outlive their parent.

`python -m eyrie.children MODULE FILE` calls `MODULE.work(FILE)` and is killed when its parent dies, for parents that
are not ours. The module is imported when that is settled: PyTorch alone takes seconds.
"""

import ctypes
import os
import signal
import sys
from importlib import import_module
from pathlib import Path

from eyrie.importing import large_imports

_PR_SET_PDEATHSIG = 1


class die_with:  # noqa: N801 - a function with a prepared argument; libc is looked up before the fork
    """`preexec_fn`: in the child, send me `signum` when my parent dies (Linux only; a no-op elsewhere)."""

    def __init__(self, parent: int, signum: signal.Signals = signal.SIGKILL) -> None:
        self._parent, self._signum = parent, signum
        self._libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

    def __call__(self) -> None:
        if self._libc is not None:
            self._libc.prctl(_PR_SET_PDEATHSIG, self._signum)
            if os.getppid() != self._parent:  # it died before prctl
                os._exit(1)


if __name__ == "__main__":
    die_with(os.getppid())()
    with large_imports():
        module = import_module(sys.argv[1])
    module.work(Path(sys.argv[2]))
