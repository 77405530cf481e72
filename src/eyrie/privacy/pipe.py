"""Rows of JSON in, one line of findings per row out: `eyrie screen`, a filter for a shell pipe.

Nothing of a row's text is ever printed: types, offsets and scores only. Every message is screened whatever its role,
so the answer is about the row as it is; a run reads the user and system messages only. Content that is a list of text
parts counts as the parts joined by a newline.
"""

import codecs
import json
import os
import sys
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, NamedTuple

from eyrie.params import FilterPrompts
from eyrie.privacy.backends import make_detector
from eyrie.privacy.detection import Detected, Detector, detect_with
from eyrie.privacy.mentions import with_further_mentions
from eyrie.privacy.screening import Policy

MAX_LINE_BYTES = 64_000_000
_STRENGTH = ("keep", "surrogate", "redact", "drop")
ALL_SCREENED, SOME_NOT_SCREENED, READER_GONE = 0, 3, 141


class _Row(NamedTuple):
    """`error` says why a row has no texts. `is_text`: the row is one text, not messages."""

    number: int  # of the line, from 0
    texts: list[str]
    is_text: bool = False
    error: str | None = None


def screen_file(config: FilterPrompts, file: Path) -> int:
    """Print a line per row of `file` (`-`: stdin) and return the exit status. Raises OSError and as `make_detector`.

    Presidio answers row by row; Cloud DLP, whose requests are counted, in blocks of its batch size.
    """
    with sys.stdin.buffer if str(file) == "-" else file.open("rb") as stream:
        detector = make_detector(config, stream=True)
        block_rows = 1 if config.backend == "presidio" else detector.batch_rows
        return _print_answers(_answers(_rows(stream), detector, config, block_rows))


def _print_answers(answers: Iterator[dict[str, Any]]) -> int:
    status = ALL_SCREENED
    try:
        for answer in answers:
            if "error" in answer:
                status = SOME_NOT_SCREENED
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
    except BrokenPipeError:
        # What is still in the buffer has no reader; the interpreter's flush at exit would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    return status


def _answers(
    rows: Iterator[_Row], detector: Detector, config: FilterPrompts, block_rows: int
) -> Iterator[dict[str, Any]]:
    def blocks() -> Iterator[list[_Row]]:
        for first in rows:
            yield list(chain([first], islice(rows, block_rows - 1)))

    def texts_of(block: Sequence[_Row]) -> list[list[str]]:
        return [[] if _too_long(row, config) else row.texts for row in block]

    for block, found in detect_with(detector, blocks(), texts_of):
        for row, detected in zip(block, found, strict=True):
            unread = Detected([], "longer than max_chars")
            yield _answer(row, unread if _too_long(row, config) else detected, config.policy)


def _too_long(row: _Row, config: FilterPrompts) -> bool:
    return sum(map(len, row.texts)) > config.max_chars


def _answer(row: _Row, detected: Detected, policy: Policy) -> dict[str, Any]:
    if row.error is not None:
        return {"index": row.number, "action": "error", "entities": [], "error": row.error}
    if detected.failure is not None:  # dropped in a run, and worth a look
        return {"index": row.number, "action": "drop", "entities": [], "error": f"not analyzed: {detected.failure}"}
    replaced = {finding.entity for findings in detected.findings for finding in findings}
    replaced -= {entity for entity in replaced if policy[entity] in ("keep", "drop")}
    entities = [
        {
            "type": finding.entity,
            "start": finding.start,
            "end": finding.end,
            "score": round(finding.score, 4),
            **({} if row.is_text else {"message": number}),
        }
        for number, findings in enumerate(with_further_mentions(row.texts, detected.findings, replaced))
        for finding in findings
    ]
    actions = [policy[str(entity["type"])] for entity in entities]
    return {"index": row.number, "action": max(actions, key=_STRENGTH.index, default="keep"), "entities": entities}


def _rows(stream: IO[bytes]) -> Iterator[_Row]:
    """One row per line, readable or not; `number` counts lines from 0.

    A blank line is nothing after the last row, and one that cannot be read before it, as in a source of
    `select_prompts`: it waits until another row comes.
    """
    blanks = 0
    for number, line in enumerate(_lines(stream)):
        if line is not None and not line.strip():
            blanks += 1
            continue
        yield from (_row(blank, b"") for blank in range(number - blanks, number))
        blanks = 0
        yield _row(number, line.removeprefix(codecs.BOM_UTF8) if line is not None and number == 0 else line)


def _lines(stream: IO[bytes]) -> Iterator[bytes | None]:
    """Lines without their end; None for one that is longer than memory should hold."""
    while line := stream.readline(MAX_LINE_BYTES):
        if line.endswith(b"\n") or len(line) < MAX_LINE_BYTES:
            yield line.rstrip(b"\r\n")
            continue
        while (rest := stream.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
            pass
        yield None


def _row(number: int, line: bytes | None) -> _Row:
    if line is None:
        return _Row(number, [], error=f"longer than {MAX_LINE_BYTES} bytes")
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        return _Row(number, [], error="not UTF-8")
    except (ValueError, RecursionError):
        return _Row(number, [], error="not JSON")
    if not isinstance(row, dict):
        return _Row(number, [], error="not an object")
    if isinstance(row.get("text"), str) and "messages" not in row:
        return _Row(number, [row["text"]], is_text=True)
    messages = row.get("messages")
    if "text" in row or not isinstance(messages, list):
        return _Row(number, [], error='expected either "messages", a list, or "text", a string')
    texts = [_content(message) for message in messages]
    for position, text in enumerate(texts):
        if text is None:
            return _Row(number, [], error=f"message {position}: no content that is text")
    return _Row(number, [text for text in texts if text is not None])


def _content(message: Any) -> str | None:
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        return None
    parts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
    texts = [part for part in parts if isinstance(part, str)]
    return "\n".join(texts) if len(texts) == len(content) else None
