"""What a running server says of itself in `/server_info`, SGLang's or the reference engine's, in one form."""

import http.client
import json
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eyrie.engines.servers import API_KEY_VARIABLE, ServerError, open_directly
from eyrie.engines.spec import ServerSpec
from eyrie.params import Drafting

_TIMEOUT_S = 30.0
_DTYPES = {"half": "float16", "float": "float32"}  # SGLang's other spellings


@dataclass(frozen=True)
class ServerFacts:
    engine: str  # "sglang" or "reference"
    version: str | None
    model: str
    served_as: str  # the name that requests use
    dtype: str
    max_running_requests: int | None
    context_length: int | None
    drafting: Drafting | None  # None: it drafts nothing
    revision: str | None = None  # None: it does not tell


class NoAnswerError(ServerError):
    """The server is not there, or cannot answer now."""


def server_facts(base_url: str) -> ServerFacts:
    """Ask `/server_info`. Raises NoAnswerError, and ServerError when it does not answer as either engine does."""
    key = os.environ.get(API_KEY_VARIABLE)
    request = urllib.request.Request(  # noqa: S310 - an http address that was checked
        f"{base_url}/server_info", headers={"Authorization": f"Bearer {key}"} if key else {}
    )
    try:
        with open_directly(request, _TIMEOUT_S) as response:
            return parse_server_info(json.loads(response.read()))
    except urllib.error.HTTPError as error:
        hint = f"; {API_KEY_VARIABLE} holds the key" if error.code in (401, 403) else ""
        kind = NoAnswerError if error.code in (408, 425, 429) or error.code >= 500 else ServerError
        raise kind(f"{base_url}/server_info answered with status {error.code}{hint}") from None
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswerError(f"{base_url}/server_info: no answer ({type(error).__name__})") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ServerError(f"{base_url}/server_info: no answer that can be read ({type(error).__name__})") from None


def parse_server_info(info: dict[str, Any]) -> ServerFacts:
    """Raises KeyError, TypeError, ValueError for what neither engine writes."""
    if info.get("engine") == "eyrie-reference":
        drafting = info["speculative"]
        return ServerFacts(
            "reference",
            None,
            info["model"],
            info["model"],
            info["dtype"],
            info["max_running_requests"],
            info["context_length"],
            None if drafting is None else Drafting(**drafting),
        )
    shape = None
    if info["speculative_algorithm"] is not None:
        shape = Drafting(
            num_steps=info["speculative_num_steps"],
            topk=info["speculative_eagle_topk"],
            num_draft_tokens=info["speculative_num_draft_tokens"],
        )
    return ServerFacts(
        "sglang",
        info["version"],
        info["model_path"],
        info["served_model_name"],
        info["dtype"],
        info["max_running_requests"],
        info["context_length"],
        shape,
        info.get("revision"),
    )


def check_serves(base_url: str, spec: ServerSpec) -> None:
    """A named server must serve what its arm asks for, or a comparison would be of something else.

    Raises ServerError with what differs.
    """
    facts = check_serves_target(base_url, spec)
    _compare(base_url, spec, "draft shape", facts.drafting, spec.drafting)
    if facts.max_running_requests is not None:
        _compare(base_url, spec, "max_running_requests", facts.max_running_requests, spec.max_running_requests)


def check_serves_target(base_url: str, spec: ServerSpec) -> ServerFacts:
    """A named server must answer for the target: the model, its revision where the server was started with one, the
    dtype, and room for what is asked. Raises NoAnswerError, and ServerError with what differs."""
    facts, target = server_facts(base_url), spec.target
    if not (facts.served_as == target.model or _same_model(facts.model, target.model)):
        raise ServerError(
            f"{base_url} was named for {spec.name}, but its model is {facts.model}, not {target.model}; where that is "
            f"the same model, start the server with --served-model-name {target.model}"
        )
    if facts.model == target.model and None not in (facts.revision, target.revision):
        _compare(base_url, spec, "revision", facts.revision, target.revision)
    if facts.dtype != "auto":
        _compare(base_url, spec, "dtype", _DTYPES.get(facts.dtype, facts.dtype), target.dtype)
    needed = spec.context_length
    if needed is not None and facts.context_length is not None and facts.context_length < needed:
        raise ServerError(
            f"{base_url} was named for {spec.name}, but its context_length is {facts.context_length}, under the "
            f"{needed} that prompts and answers may need"
        )
    return facts


def _compare(base_url: str, spec: ServerSpec, name: str, found: object, asked: object) -> None:
    if found != asked:
        raise ServerError(
            f"{base_url} was named for {spec.name}, but its {name} is {found or 'none'}, not {asked or 'none'}"
        )


def _same_model(found: str, asked: str) -> bool:
    """The same words, or the same folder of this machine."""
    return found == asked or (Path(asked).is_dir() and Path(found).resolve() == Path(asked).resolve())
