"""Where running servers are. That changes no answer, so it is no parameter but a variable of the environment."""

import os

SERVERS_VARIABLE = "EYRIE_SERVERS"


class ServerError(ValueError):
    """A server that did not start, is not there, or refuses."""


def server_addresses() -> list[str]:
    """The servers that the environment names, separated by commas. Raises ServerError when it names none."""
    named = [address.strip().rstrip("/") for address in os.environ.get(SERVERS_VARIABLE, "").split(",")]
    addresses = [address for address in named if address]
    if not addresses:
        raise ServerError(
            f"engine sglang needs running servers: set {SERVERS_VARIABLE}, for example "
            f"{SERVERS_VARIABLE}=http://127.0.0.1:30000,http://127.0.0.1:30001"
        )
    for address in addresses:
        if not address.startswith(("http://", "https://")):
            raise ServerError(f"{SERVERS_VARIABLE}: {address} is no address; it must begin with http:// or https://")
    return addresses
