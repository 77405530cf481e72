"""Where running servers are. That changes no answer, so it is no parameter but a variable of the environment."""

import http
import http.client
import importlib.util
import json
import os
import re
import urllib.request
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

SERVERS_VARIABLE = "EYRIE_SERVERS"
NAMED_VARIABLE = "EYRIE_NAMED_SERVERS"
API_KEY_VARIABLE = "EYRIE_API_KEY"
INSTALL_SGLANG = "uv pip install --no-deps --require-hashes -r requirements/sglang.lock"  # changes no other version

_HEALTH_TIMEOUT_S = 30.0
_PHRASES = {status.phrase for status in http.HTTPStatus}
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ServerError(ValueError):
    """A server that did not start, is not there, or refuses."""


def server_addresses() -> list[str]:
    """The servers that the environment names to write answers, separated by commas; none: an empty list.

    Raises ServerError for what is no address.
    """
    return [_address(part, SERVERS_VARIABLE) for part in _parts(SERVERS_VARIABLE)]


def named_servers() -> dict[str, str]:
    """The running servers that the environment names, by arm of the benchmark. Raises ServerError."""
    named: dict[str, str] = {}
    for part in _parts(NAMED_VARIABLE):
        name, separator, address = part.partition("=")
        if not separator:
            raise ServerError(f"{NAMED_VARIABLE}: an entry is not arm=address, as in baseline=http://127.0.0.1:30000")
        named[name.strip()] = _address(address.strip(), NAMED_VARIABLE)
    return named


def check_arms(arms: Collection[str]) -> None:
    """Raises ServerError when the environment names a server for what is no arm of the benchmark."""
    if unknown := named_servers().keys() - set(arms):
        raise ServerError(
            f"{NAMED_VARIABLE} names a server for {', '.join(sorted(unknown))}; the arms of benchmark.arms are "
            f"{', '.join(arms)}"
        )


def named_server(arm: str) -> str | None:
    """The one that is named for this arm. Raises ServerError."""
    return named_servers().get(arm)


def check_key(host: str) -> None:
    """Raises ServerError when other machines could use the server without a key."""
    if host not in ("127.0.0.1", "localhost", "::1") and not os.environ.get(API_KEY_VARIABLE):
        raise ServerError(
            f"host {host} is open to other machines and {API_KEY_VARIABLE} holds no key; set it, or serve on 127.0.0.1"
        )


def is_installed() -> bool:
    """Is SGLang in this environment?"""
    return importlib.util.find_spec("sglang") is not None


def no_proxy_here() -> dict[str, str]:
    """Variables with which other programs reach this machine's servers directly, whatever proxy is set."""
    listed = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    value = ",".join([*([listed] if listed else []), "127.0.0.1", "localhost", "::1"])
    return {"no_proxy": value, "NO_PROXY": value}


def open_directly(request: str | urllib.request.Request, timeout_s: float) -> Any:
    """Open an http address of a server, never through a proxy: load goes straight to it, and so must its health checks.

    Raises OSError, http.client.HTTPException.
    """
    return _DIRECT.open(request, timeout=timeout_s)


def is_alive(base_url: str) -> bool:
    """Does the server still answer that it is well?"""
    try:
        with open_directly(f"{base_url}/health", _HEALTH_TIMEOUT_S):
            return True
    except (OSError, http.client.HTTPException):
        return False


def without_key(text: str) -> str:
    """What a program wrote, with the environment's API key taken out, however it was quoted: SGLang logs its arguments,
    the key among them."""
    key = os.environ.get(API_KEY_VARIABLE)
    for spelling in (key, repr(key)[1:-1], json.dumps(key)[1:-1]) if key else ():
        text = text.replace(spelling, f"<{API_KEY_VARIABLE}>")
    return text


def error_kind(error: object) -> str:
    """` (type, code)` of an error in OpenAI's form, a body or what was parsed of it; nothing for another one.

    Never its message: servers quote the request there, and prompts do not belong in errors and logs.
    """
    if isinstance(error, bytes | str):
        try:
            error = json.loads(error)
        except ValueError:
            return ""
    inner = error.get("error", error) if isinstance(error, dict) else None
    named = [str(inner.get(name)) for name in ("type", "code")] if isinstance(inner, dict) else []
    words = [word for word in named if word != "None" and (word in _PHRASES or re.fullmatch(r"[A-Za-z_]+|\d{3}", word))]
    return f" ({', '.join(words)})" if words else ""


def failure(error: Exception) -> str:
    """Of an error of an HTTP client its type, and what the operating system says: its other words may be what a server
    sent, and that a prompt."""
    return f"{type(error).__name__}: {error}" if isinstance(error, OSError) else type(error).__name__


def _parts(variable: str) -> list[str]:
    value = os.environ.get(variable, "")
    if re.search(r"[@＠?#]|%40", value):  # looked for in all of it, and not shown: beside it stands a password or key
        raise ServerError(
            f"{variable}: an address has no user and password, and no query; {API_KEY_VARIABLE} holds the key"
        )
    return [part.strip() for part in value.split(",") if part.strip()]


def _address(text: str, variable: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ServerError(f"{variable}: no address; it must begin with http:// or https://")
    try:
        parts = urlsplit(text)
        is_whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_whole = False
    if not is_whole:
        raise ServerError(
            f"{variable}: {text} is no address; it needs a host, and a port of 1 to 65535 where it has one"
        )
    return text.rstrip("/")
