"""What SGLang's `/generate` answers, read the same way by generation and by the benchmark's lossless gate."""

from typing import Any

from eyrie.engines.servers import ServerError


class AbortedError(ServerError):
    """The server gave the request up; another one, or the same one later, may answer it."""


def answer_ids(document: Any, base_url: str) -> list[int]:
    """`output_ids`, with the stop token that ended them when the server left it out.

    Raises AbortedError, and ServerError for a document that is not SGLang's, or an answer without a token.
    """
    try:
        ids = [int(token) for token in document["output_ids"]]
        reason = document["meta_info"]["finish_reason"]
        kind, matched = reason["type"], reason.get("matched")
        if not all(0 <= token < 1 << 31 for token in ids):
            raise ValueError
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ServerError(f"{base_url}/generate did not answer as SGLang does; is it an SGLang server?") from None
    if kind == "abort":
        raise AbortedError(f"an aborted request from {base_url}")
    if kind == "stop" and isinstance(matched, int) and ids[-1:] != [matched]:
        ids.append(matched)
    if not ids:  # what is kept of it could never be written as a row, and would be found again by every later run
        raise ServerError(f"{base_url}/generate gave an answer without a token")
    return ids
