"""Containers of Google Batch that work in the project's folder on a mounted NFS volume.

The plug-in writes a Snakefile and an entry point into each machine, gives every job 1 GB and an hour, and ends its
entry point with two installations by pip, whose exit status hides the job's. Here the container's command is the job's,
and memory, processors, time and GPUs are those of the rule.
"""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from google.cloud import batch_v1
from snakemake_executor_plugin_googlebatch import ExecutorSettings as BatchSettings
from snakemake_executor_plugin_googlebatch.executor import GoogleBatchExecutor
from snakemake_interface_common.exceptions import WorkflowError

from snakemake_executor_plugin_kubernetes_shared.volume import enter_project

# The driver's files on Container-Optimized OS; https://cloud.google.com/batch/docs/create-run-job#create-job-gpu
DRIVER_FOLDERS = [f"/var/lib/nvidia/{name}:/usr/local/nvidia/{name}" for name in ("lib64", "bin")]
NOTHING = "true"  # a script that a machine runs before the container


@dataclass
class ExecutorSettings(BatchSettings):  # type: ignore[misc] # the plug-in has no types
    """As the plug-in's, with the NFS volume; `mount_path` is where it is mounted."""

    nfs_server: str = field(default="", metadata={"help": "Address of the NFS server."})
    nfs_path: str = field(default="", metadata={"help": "The folder that it exports."})


class Executor(GoogleBatchExecutor):  # type: ignore[misc] # the plug-in has no types
    """As the plug-in's, but jobs share the project's folder and get what their rule asks for."""

    def __post_init__(self) -> None:
        if not (self.executor_settings.nfs_server and self.executor_settings.nfs_path):
            raise WorkflowError("googlebatch-shared-nfs-server and -nfs-path are not set: edit the profile")
        if names := self.workflow.spawned_job_args_factory.envvars():
            raise WorkflowError(
                f"--envvars {' '.join(sorted(names))}: a Google Batch job would hold the values in clear; "
                "leave them in a file on the volume"
            )
        super().__post_init__()

    def get_job_exec_prefix(self, job: Any) -> str:
        return enter_project([Path(self.executor_settings.mount_path)])

    def get_command_writer(self, job: Any) -> SimpleNamespace:
        """Scripts that would prepare the machine: nothing is to be prepared."""
        return SimpleNamespace(setup=lambda: NOTHING, write_snakefile=lambda: NOTHING)

    def get_container(self, job: Any, entrypoint: None = None, commands: None = None) -> Any:
        settings, has_gpu = self.executor_settings, "gpu" in dict(job.resources)
        mount = f"{settings.mount_path}:{settings.mount_path}"
        return batch_v1.Runnable.Container(
            image_uri=settings.container or self.workflow.remote_execution_settings.container_image,
            entrypoint="/bin/sh",
            commands=["-c", self.format_job_exec(job)],
            volumes=[mount, *(DRIVER_FOLDERS if has_gpu else [])],
            options="--network host --privileged" if has_gpu else "--network host",
        )

    def add_storage(self, job: Any, task: Any) -> None:
        settings = self.executor_settings
        server = batch_v1.NFS(server=settings.nfs_server, remote_path=settings.nfs_path)
        task.volumes = [batch_v1.Volume(nfs=server, mount_path=settings.mount_path)]

    def get_param(self, job: Any, param: str) -> Any:
        """A setting for a job; those that the rule states as well are the rule's."""
        resources = job.resources
        if param == "memory":
            return int(resources["mem_mb"])
        if param == "cpu_milli":
            return 1000 * int(resources["_cores"])
        if param == "max_run_duration":
            return f"{60 * int(resources['runtime'])}s"
        return super().get_param(job, param)

    def get_accelerators(self, job: Any) -> list[Any]:
        if "gpu" not in dict(job.resources):
            return []
        count, model = int(job.resources["gpu"]), job.resources["gpu_model"]
        return [batch_v1.AllocationPolicy.Accelerator(count=count, type_=model)]

    def save_finished_job_logs(self, job_info: Any, sleeps: int = 60, page_size: int = 1000) -> None:
        """Nothing to fetch: jobs write their logs to `logs/` on the volume."""
