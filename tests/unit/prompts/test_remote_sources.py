"""Sources on the hub and on gs://, read by the real clients from servers on this machine."""

import gzip
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eyrie.prompts.sources import BadRow, SourceError, read_rows
from tests.services.gcs import gcs_file_system
from tests.services.hub import COMMIT, Hub
from tests.unit.prompts.test_sources import source, values

ROWS = [{"text": f"question {number}", "answer": "ANSWER"} for number in range(3)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with gcs_file_system("logs", monkeypatch) as files:
        yield files


def test_every_format_is_read_from_a_bucket(storage: Any) -> None:
    table = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), table)
    csv = b"text,answer\n" + b"".join(f"{row['text']},ANSWER\n".encode() for row in ROWS)
    files = {
        "a.jsonl": LINES + b"{oops\n",
        "a.jsonl.gz": gzip.compress(LINES),
        "a.csv": csv,
        "a.parquet": table.getvalue(),
    }
    for name, data in files.items():
        storage.pipe_file(f"logs/day/{name}", data)
    for name in files:
        found = values(source(f"gs://logs/day/{name}"))
        assert [row["text"] for row in found[:3]] == [row["text"] for row in ROWS]
        assert found[3:] == ([BadRow("not JSON")] if name == "a.jsonl" else [])
    storage.pipe_file("logs/day/b.jsonl", b'{"text": "last"}')
    rows = list(read_rows(source("gs://logs/day/*.jsonl"), []))
    assert [(row.file, row.number) for row in rows] == [
        *(("a.jsonl", number) for number in range(1, 5)),
        ("b.jsonl", 1),
    ]


@pytest.mark.usefixtures("storage")
@pytest.mark.parametrize("path", ["gs://logs/nothing.jsonl", "gs://logs/nothing-*.jsonl", "gs://another/x-*.jsonl"])
def test_what_is_not_in_a_bucket_is_one_sentence(path: str) -> None:
    with pytest.raises(SourceError, match=r"source logs: .*gs://") as caught:
        values(source(path))
    assert "\n" not in str(caught.value)


READ = """
import json, sys
from eyrie.params import Source
from eyrie.prompts.licenses import check_license
from eyrie.prompts.sources import read_rows
from tests.unit.prompts.test_sources import BASE

def attempt(what):
    try:
        return what()
    except ValueError as error:
        return f"{type(error).__name__}: {error}"

found = []
for changes in json.load(sys.stdin):
    source = Source.model_validate(BASE | {"license": None} | changes)
    found.append([
        attempt(lambda: check_license(source, allowed=["mit"], denied=["sharegpt"]).license),
        attempt(lambda: [row.value["text"] for row in read_rows(source, ["text"])]),
    ])
json.dump(found, sys.stdout)
"""


def test_a_hub_dataset_is_read_at_its_commit_and_gated_by_its_card(tmp_path: Path) -> None:
    names = ("chats", "gated", "typed", "barred", "columns")
    chats, gated, typed, barred, columns = (tmp_path / "hub/org" / name for name in names)
    for repository in (chats, gated, typed, barred, columns):
        (repository / "data").mkdir(parents=True)
        (repository / "data/train-0.jsonl").write_bytes(LINES)
    (chats / "data/test-0.jsonl").write_bytes(LINES[: LINES.index(b"\n")])
    (chats / "README.md").write_text("---\nlicense: mit\n---\n# Chats\n")
    (typed / "README.md").write_text(
        "---\nlicense: mit\ndataset_info:\n  features:\n"
        "  - {name: text, dtype: int64}\n  - {name: answer, dtype: string}\n---\n"
    )
    (gated / "README.md").write_text("---\nlicense: mit\nextra_gated_prompt: You agree\n---\n")
    (barred / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    (columns / "data/train-0.jsonl").unlink()
    pq.write_table(pa.table({"text": [row["text"] for row in ROWS]}), columns / "data/train-0.parquet")
    (columns / "README.md").write_text(
        "---\nlicense: mit\ndataset_info:\n  features:\n  - {name: text, dtype: int64}\n---\n"
    )
    hub = Hub(tmp_path / "hub")
    hub.barred["/org/barred/resolve/" + COMMIT + "/README.md"] = 403
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    caches = {name: str(tmp_path / "cache") for name in ("HF_HOME", "HF_DATASETS_CACHE", "HF_HUB_CACHE")}
    pinned = {"hub": "org/chats", "revision": COMMIT, "hub_split": "train"}
    cases: list[dict[str, str]] = [
        pinned,
        pinned | {"hub_split": "test"},
        pinned | {"license": "apache-2.0", "hub_split": "nosplit"},
        pinned | {"revision": "f" * 40},
        pinned | {"hub": "org/gated"},
        pinned | {"hub": "org/nothing"},
        pinned | {"hub": "org/typed"},
        pinned | {"hub": "org/barred", "license": "mit"},
        pinned | {"hub": "org/columns"},
    ]
    done = subprocess.run(
        [sys.executable, "-c", READ],
        input=json.dumps(cases),
        env=os.environ
        | caches
        | {"HF_ENDPOINT": hub.address, "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    hub.shutdown()
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    texts = [row["text"] for row in ROWS]
    assert found[0] == ["mit", texts]
    assert found[1] == ["mit", texts[:1]]
    assert "licence 'apache-2.0', but its card says 'mit'" in found[2][0]
    assert "org/chats at" in found[2][1]
    assert "cannot read split nosplit" in found[2][1]
    assert found[3][0].startswith(f"HubError: source logs: org/chats at {'f' * 40}: cannot read its card: ")
    assert found[3][1].startswith(f"HubError: source logs: org/chats at {'f' * 40}: cannot read split train: ")
    assert "asks readers to agree to extra terms" in found[4][0]
    assert found[5][1].startswith("HubError: source logs: org/nothing at ")
    # a value that does not fit its column's type is named by its kind alone
    assert found[6][1].endswith("cannot read split train: ArrowInvalid: a row cannot be read")
    assert found[8][1].endswith("a row cannot be read")
    assert texts[0] not in done.stderr, "the library logs values that do not fit"
    # a card that cannot be had is not a dataset without one, whose licence would be the stated one
    assert found[7][0].startswith(f"HubError: source logs: org/barred at {COMMIT}: cannot read its card: ")
    assert not [message for case in found for message in case if isinstance(message, str) and "\n" in message]
    assert not [request for request in hub.requests if "/resolve/main/" in request]
