"""Where running servers are. That changes no answer, so it is no parameter but a variable of the environment."""

import importlib.util
import os

SERVERS_VARIABLE = "EYRIE_SERVERS"
NAMED_VARIABLE = "EYRIE_NAMED_SERVERS"
API_KEY_VARIABLE = "EYRIE_API_KEY"


class ServerError(ValueError):
    """A server that did not start, is not there, or refuses."""


def server_addresses() -> list[str]:
    """The servers that the environment names to write answers, separated by commas; none: an empty list.

    Raises ServerError for what is no address.
    """
    return [_address(part, SERVERS_VARIABLE) for part in _parts(SERVERS_VARIABLE)]


def named_server(arm: str) -> str | None:
    """The running server that the environment names for an arm of the benchmark. Raises ServerError."""
    named: dict[str, str] = {}
    for part in _parts(NAMED_VARIABLE):
        name, separator, address = part.partition("=")
        if not separator:
            raise ServerError(f"{NAMED_VARIABLE}: {part} is not arm=address, as in baseline=http://127.0.0.1:30000")
        named[name.strip()] = _address(address.strip(), NAMED_VARIABLE)
    return named.get(arm)


def is_installed() -> bool:
    """Is SGLang in this environment?"""
    return importlib.util.find_spec("sglang") is not None


def _parts(variable: str) -> list[str]:
    return [part.strip() for part in os.environ.get(variable, "").split(",") if part.strip()]


def _address(text: str, variable: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ServerError(f"{variable}: {text} is no address; it must begin with http:// or https://")
    return text.rstrip("/")
