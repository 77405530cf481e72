"""The entry point of a serving image: take the API key from a mounted file, and start the server with it.

    python3 start_with_key.py KEY_FILE python3 -m sglang.launch_server ...

SGLang 0.5.23 takes a key as an argument or in the file behind `--config`, and serves everybody without one. It gets it
in a file that only this user can read: others can read command lines, and `docker inspect` shows variables. Without a
key nothing starts. Only the standard library: the file is copied into the image alone.
"""

import json
import os
import sys
import tempfile
from pathlib import Path


def config_with(key: str) -> str:
    """SGLang's configuration file with this key."""
    return f"api-key: {json.dumps(key)}\n"


def main(key_file: Path, command: list[str]) -> None:
    """Become `command`. Exits with status 1 and one sentence when `key_file` holds no key."""
    try:
        key = key_file.read_text(encoding="utf-8").strip()
    except OSError as error:
        sys.exit(f"{key_file}: {error.strerror}; mount a file with the API key there: nothing is served without one")
    except UnicodeDecodeError:
        sys.exit(f"{key_file} is not UTF-8 text; it must hold the API key: nothing is served without one")
    if not key:
        sys.exit(f"{key_file} is empty; it must hold the API key: nothing is served without one")
    handle, config = tempfile.mkstemp(prefix="sglang-", suffix=".yaml")  # mode 0600
    with os.fdopen(handle, "w", encoding="utf-8") as written:
        written.write(config_with(key))
    os.execvp(command[0], [*command, "--config", config])  # noqa: S606 - an argument list, no shell


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
