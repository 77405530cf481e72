"""DVC's cache and damage: outputs are links or copies of cached objects, so what damages one may be in the other.

DVC trusts a read-only object without reading it, and would put it back from its run cache. So the objects behind
damaged outputs are read, and those whose content is not their name are removed.
"""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from eyrie.lineage.guard import BUSY_WAIT_S, DVC_READERS, BusyError
from eyrie.lineage.layout import STAGES
from eyrie.lineage.lockfile import md5_of

DVC_CONFIG = Path(".dvc/config")
SILENT = "the remote could not be asked"
ASK_S = 15.0  # for one small answer of a remote; storage libraries try again and again for minutes


class NoRepositoryError(ValueError):
    """DVC cannot work in this folder."""


class RemoteError(ValueError):
    """The DVC remote could not be asked."""


@contextmanager
def dvc_repo() -> Iterator[Any]:
    """This folder as DVC's `Repo`. Raises NoRepositoryError when it is none."""
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.repo import Repo
    from dvc.scm import SCMError

    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)  # it prints the traceback of every error that it raises
    try:
        repo = Repo(".")
    except NotDvcRepoError:
        raise NoRepositoryError("no DVC project here; `dvc init` makes one") from None
    except SCMError:
        raise NoRepositoryError("DVC needs a git repository, and there is none; `git init` makes one") from None
    except DvcException as error:
        raise NoRepositoryError(f"DVC cannot open this folder: {' '.join(str(error).split())}") from None
    with repo:
        yield repo


def has_dvc() -> bool:
    """Whether this folder is a DVC project."""
    return DVC_CONFIG.is_file()


@contextmanager
def claimed_outputs() -> Iterator[None]:
    """Every output is this process's to write, in DVC's own list: a command of DVC that would read or write one stops
    and says by whom it is blocked, where `dvc repro` would take outputs away under a run. Raises BusyError when one of
    them is at work."""
    from dvc.exceptions import DvcException
    from dvc.fs import localfs
    from dvc.rwlock import rwlock

    DVC_READERS.parent.mkdir(exist_ok=True)
    tops = {Path(path).parts[0] for stage in STAGES.values() for path in stage.outputs.values()}
    outputs = [str(Path(top).absolute()) for top in sorted(tops)]
    deadline = time.monotonic() + BUSY_WAIT_S
    claim = ExitStack()
    while True:
        try:
            claim.enter_context(rwlock(str(DVC_READERS.parent), localfs, "snakemake", [], outputs, hardlink=False))
            break
        except DvcException:
            if time.monotonic() > deadline:
                raise BusyError("a command of DVC is at work in this folder; wait for it or stop it") from None
        time.sleep(0.2)
    try:
        yield
    finally:
        with suppress(DvcException, OSError):  # a list that a full disk cut off is mended by the next run
            claim.close()


def files_of(path: Path) -> list[Path]:
    """The file itself, or all files of a folder; nothing when it is not here."""
    if path.is_dir():
        return [item for item in path.rglob("*") if item.is_file()]
    return [path] if path.is_file() else []


def absent_from_cache(repo: Any, md5: str) -> list[str]:
    """What DVC's cache lacks of an output: names of files in its folder, or "" for the whole; nothing: it is all there.

    DVC pulls a folder's list of files by itself, for a single one of them: the list alone says nothing of the others.
    """
    cache = Path(repo.cache.local.path)
    whole = cache / md5[:2] / md5[2:]
    if not whole.is_file():
        return [""]
    if not md5.endswith(".dir"):
        return []
    try:
        entries = json.loads(whole.read_text(encoding="utf-8"))
    except ValueError:
        return [""]
    return [entry["relpath"] for entry in entries if not (cache / entry["md5"][:2] / entry["md5"][2:]).is_file()]


def is_in_remote(repo: Any, md5: str) -> bool:
    """Whether the DVC remote holds an object. Raises RemoteError when it refuses, cannot be reached, or does not answer
    within ASK_S seconds.

    Not `odb.exists`, which takes every error for a no.
    """
    from fsspec.asyn import AsyncFileSystem, sync  # type: ignore[import-untyped]

    try:
        odb = repo.cloud.get_remote_odb()
        path, storage = odb.oid_to_path(md5), odb.fs.fs
        if isinstance(storage, AsyncFileSystem):
            sync(storage.loop, storage._info, path, timeout=ASK_S)
        else:
            storage.info(path)
    except FileNotFoundError:
        return False
    except TimeoutError:
        raise RemoteError(f"{SILENT} (no answer within {ASK_S:.0f} s)") from None
    except Exception as error:  # whatever a storage library raises
        raise RemoteError(f"{SILENT} ({type(error).__name__})") from None
    return True


def evict(outputs: list[Path]) -> None:
    """Remove the cached objects that `outputs` are links or may be copies of and that are not what their names say."""
    sizes = {file.stat().st_size for path in outputs for file in files_of(path)}  # a copy has the object's size
    if not sizes or not has_dvc():
        return
    with suppress(NoRepositoryError), dvc_repo() as repo:  # where DVC cannot work, it puts nothing back
        for item in Path(repo.cache.local.path).glob("??/*"):
            name = item.parent.name + item.name.removesuffix(".dir")
            if item.stat().st_size in sizes and name != md5_of(item):
                item.unlink()
