"""What a running server says of itself in `/server_info`, SGLang's or the reference engine's, in one form."""

import http.client
import json
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from eyrie.engines.servers import API_KEY_VARIABLE, ServerError
from eyrie.engines.spec import ServerSpec
from eyrie.params import Drafting

_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class ServerFacts:
    engine: str  # "sglang" or "reference"
    version: str | None
    model: str
    dtype: str
    max_running_requests: int | None
    context_length: int | None
    drafting: Drafting | None  # None: it drafts nothing


def server_facts(base_url: str) -> ServerFacts:
    """Ask `/server_info`. Raises ServerError when it does not answer as either engine does."""
    key = os.environ.get(API_KEY_VARIABLE)
    request = urllib.request.Request(  # noqa: S310 - an http address that was checked
        f"{base_url}/server_info", headers={"Authorization": f"Bearer {key}"} if key else {}
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
            return parse_server_info(json.loads(response.read()))
    except urllib.error.HTTPError as error:
        hint = f"; {API_KEY_VARIABLE} holds the key" if error.code in (401, 403) else ""
        raise ServerError(f"{base_url}/server_info answered with status {error.code}{hint}") from None
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ServerError(f"{base_url}/server_info: no answer that can be read ({type(error).__name__})") from None


def parse_server_info(info: dict[str, Any]) -> ServerFacts:
    """Raises KeyError, TypeError, ValueError for what neither engine writes."""
    if info.get("engine") == "eyrie-reference":
        drafting = info["speculative"]
        return ServerFacts(
            "reference",
            None,
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
        info["dtype"],
        info["max_running_requests"],
        info["context_length"],
        shape,
    )


def check_serves(base_url: str, spec: ServerSpec) -> None:
    """A named server must serve what its arm asks for, or a comparison would be of something else.

    Raises ServerError with what differs.
    """
    facts = server_facts(base_url)
    wanted = {"draft shape": (facts.drafting, spec.drafting)}
    if facts.max_running_requests is not None:
        wanted["max_running_requests"] = (facts.max_running_requests, spec.max_running_requests)  # type: ignore[assignment]
    for name, (found, asked) in wanted.items():
        if found != asked:
            raise ServerError(
                f"{base_url} was named for {spec.name}, but its {name} is {found or 'none'}, not {asked or 'none'}"
            )
