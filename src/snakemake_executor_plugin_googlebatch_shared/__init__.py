"""Executor `googlebatch-shared`: Snakemake's for Google Batch, on an NFS volume that all machines mount
(snakemake_executor_plugin_kubernetes_shared.volume).
"""

from typing import Any

from snakemake_executor_plugin_kubernetes_shared.volume import NOTHING_DECLARED, MissingExecutor, with_shared_files

Executor: Any
try:
    import snakemake_executor_plugin_googlebatch as plugin

    from snakemake_executor_plugin_googlebatch_shared import executor
except ModuleNotFoundError:
    Executor, common_settings = MissingExecutor, NOTHING_DECLARED
else:
    Executor, ExecutorSettings = executor.Executor, executor.ExecutorSettings
    common_settings = with_shared_files(plugin.common_settings)
