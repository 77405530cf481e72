"""What a server serves, whichever engine it runs."""

from dataclasses import dataclass
from pathlib import Path

from eyrie.params import Drafting, Target


@dataclass(frozen=True)
class ServerSpec:
    """One arm. `head` and `drafting` come together; None is the baseline."""

    name: str  # of the arm: its log's name, and how a running server is named in the environment
    target: Target
    head: Path | None
    drafting: Drafting | None
    max_running_requests: int
    context_length: int | None  # None: what the target holds
    overlap: bool = True  # SGLang's overlap scheduling; the reference engine has none
    threads: int | None = None  # CPU threads of the reference engine; None: PyTorch's choice

    def __post_init__(self) -> None:
        assert (self.head is None) == (self.drafting is None), "a head needs a draft shape, and the other way round"
