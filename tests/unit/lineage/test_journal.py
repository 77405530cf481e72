"""The journal of finished parts survives what a killed process can leave behind."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from eyrie.lineage.journal import Journal


def test_parts_are_found_again_when_the_journal_is_opened_again(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.append("a", {"ids": [1, 2]})
        journal.append("b", {"ids": []})
    with Journal(tmp_path / "j") as journal:
        assert len(journal) == 2
        assert journal["a"] == {"ids": [1, 2]}
        journal.append("c", {"text": "e\u0301\n\ud800"})
        assert journal["b"] == {"ids": []}
        assert journal["c"] == {"text": "e\u0301\n\ud800"}


@pytest.mark.parametrize("torn", [b'{"key": "b", "pa', b'{"key": "b", "part": {}}', b"\x00\x00\x00\n"])
def test_a_torn_last_line_is_dropped_and_its_part_made_again(tmp_path: Path, torn: bytes) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.append("a", {"n": 1})
    with (tmp_path / "j").open("ab") as file:
        file.write(torn)
    with Journal(tmp_path / "j") as journal:
        assert "b" not in journal
        journal.append("b", {"n": 2})
    with Journal(tmp_path / "j") as journal:
        assert (journal["a"], journal["b"]) == ({"n": 1}, {"n": 2})


def test_a_cleared_journal_holds_only_what_comes_later(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.append("a", {"n": 1})
        journal.clear()
        assert "a" not in journal
        journal.append("a", {"n": 2})
        assert journal["a"] == {"n": 2}
    with Journal(path) as journal:
        assert (len(journal), journal["a"]) == (1, {"n": 2})
        journal.clear()
    assert path.read_bytes() == b""


def test_a_killed_process_loses_no_part_that_it_appended(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from eyrie.lineage.journal import Journal
with Journal(Path(sys.argv[1])) as journal:
    for number in range(3):
        journal.append(str(number), {"n": number})
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "j")], check=False)
    assert done.returncode == -signal.SIGKILL
    with Journal(tmp_path / "j") as journal:
        assert [journal[str(number)] for number in range(3)] == [{"n": 0}, {"n": 1}, {"n": 2}]
