"""What executors of Snakemake need to run jobs on machines that mount the project's volume, containers among them.

Snakemake's plug-ins for Kubernetes and Google Batch declare that nothing is shared. Snakemake then wants every file in
a bucket, under names that stages, manifests and DVC do not know, and `--shared-fs-usage` in a profile is overruled. The
packages `snakemake_executor_plugin_{kubernetes,googlebatch}_shared` take the plug-ins and declare the truth: the volume
that holds the project, its environment included, is mounted at the same path in every container.

Nothing of `eyrie` is imported: Snakemake imports these packages whenever it starts, whichever copy of it comes first.
"""

import dataclasses
import os
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.settings import CommonSettings

NVIDIA_LIBRARIES = "/usr/local/nvidia/lib64"  # where GKE and Google Batch put the driver's in a container
# What a package declares while the plug-in is not there: Snakemake imports every package of its name, wanted or not.
NOTHING_DECLARED = CommonSettings(non_local_exec=True, implies_no_shared_fs=False, job_deploy_sources=False)


def with_shared_files(declared: CommonSettings) -> CommonSettings:
    """The settings of a plug-in, but for files: all of them are shared, nothing is sent or installed for a job."""
    return dataclasses.replace(
        declared, implies_no_shared_fs=False, job_deploy_sources=False, auto_deploy_default_storage_provider=False
    )


def enter_project(mounts: Iterable[Path]) -> str:
    """The words before a job's command: to the project's folder, with its environment, as here. So is the hub's cache,
    with the token in it, where HF_HOME names a folder on a volume: in a container of its own a job would have neither.

    Raises:
        WorkflowError: the project or its environment lies on none of the mounted volumes.
    """
    project, environment = Path.cwd(), Path(sys.executable).parent
    volumes = [*mounts]
    for name, path in (("project", project), ("environment", environment)):
        if not any(path.is_relative_to(mount) for mount in volumes):
            where = ", ".join(str(mount) for mount in volumes) or "none"
            raise WorkflowError(f"the {name} {path} is on no volume that the jobs mount ({where}): edit the profile")
    commands = shlex.quote(str(environment))
    libraries = f'LD_LIBRARY_PATH="{NVIDIA_LIBRARIES}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"'
    words = f'cd {shlex.quote(str(project))} && export PATH={commands}:"$PATH" {libraries}'
    if (hub := os.environ.get("HF_HOME")) and any(Path(hub).is_relative_to(mount) for mount in volumes):
        words += f" HF_HOME={shlex.quote(hub)}"
    return words


class MissingExecutor(RemoteExecutor):  # type: ignore[misc] # Snakemake's interface has no types
    """Stands for an executor whose plug-in is not installed."""

    def __new__(cls, *_: object) -> NoReturn:
        raise WorkflowError("Snakemake's plug-in for this executor is not installed: see docs/doors.md")
