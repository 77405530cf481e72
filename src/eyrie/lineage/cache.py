"""DVC's cache and damage: outputs are hard links of cached objects, so what damages one damages the other.

DVC trusts a read-only object without reading it, and would put it back from its run cache. So the objects behind
damaged outputs are read, and those whose content is not their name are removed.
"""

from pathlib import Path

from eyrie.lineage.lockfile import md5_of

DVC_CONFIG = Path(".dvc/config")


def has_dvc() -> bool:
    """Whether this folder is a DVC project."""
    return DVC_CONFIG.is_file()


def files_of(path: Path) -> list[Path]:
    """The file itself, or all files of a folder; nothing when it is not here."""
    if path.is_dir():
        return [item for item in path.rglob("*") if item.is_file()]
    return [path] if path.is_file() else []


def evict(outputs: list[Path]) -> None:
    """Remove the cached objects that are hard links of `outputs` and are not what their names say."""
    inodes = {file.stat().st_ino for path in outputs for file in files_of(path)}
    if not inodes or not has_dvc():
        return
    from dvc.repo import Repo

    with Repo(".") as repo:
        cache = Path(repo.cache.local.path)
    for item in cache.glob("??/*"):
        if item.stat().st_ino in inodes and item.parent.name + item.name != md5_of(item):
            item.unlink()
