"""Executor `kubernetes-shared`: Snakemake's for Kubernetes, on a volume that all pods mount (the module `volume`)."""

from typing import Any

from snakemake_executor_plugin_kubernetes_shared.volume import NOTHING_DECLARED, MissingExecutor, with_shared_files

Executor: Any
try:
    import snakemake_executor_plugin_kubernetes as plugin

    from snakemake_executor_plugin_kubernetes_shared import executor
except ModuleNotFoundError:
    Executor, common_settings = MissingExecutor, NOTHING_DECLARED
else:
    Executor, ExecutorSettings = executor.Executor, plugin.ExecutorSettings
    common_settings = with_shared_files(plugin.common_settings)
