"""Run by Python at its start in SGLang's processes, before SGLang asks PyTorch whether the CPU has AMX tiles: its
attention for CPUs insists on them, the tests' kernels beside this file do not need them."""

import sys

if "sglang.launch_server" in sys.orig_argv or any("multiprocessing.spawn" in word for word in sys.orig_argv):
    import torch

    torch.cpu._is_amx_tile_supported = lambda: True
