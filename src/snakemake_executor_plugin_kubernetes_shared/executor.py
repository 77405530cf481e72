"""Pods that work in the project's folder on a mounted volume."""

from typing import Any

from snakemake_executor_plugin_kubernetes import Executor as PodExecutor

from snakemake_executor_plugin_kubernetes_shared.volume import enter_project


class Executor(PodExecutor):  # type: ignore[misc] # the plug-in has no types
    """As the plug-in's, but a job's command begins in the project and with its environment."""

    def get_job_exec_prefix(self, job: Any) -> str:
        return enter_project(volume.path for volume in self.persistent_volumes)
