"""What all sections of params.yaml share: how strictly they are checked, and the words several of them use."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

WORKLOAD_RULE = "a workload is a name of at most 32 of a-z, 0-9 and _, but not all or default"


def is_workload(name: object) -> bool:
    """Whether a workload may be called so. Names become keys, among which `all` and `default` have a meaning."""
    named = isinstance(name, str) and re.fullmatch("[a-z][a-z0-9_]{0,31}", name) is not None
    return named and name not in ("all", "default")


def _workload(name: str) -> str:
    if not is_workload(name):
        raise ValueError(WORKLOAD_RULE)
    return name


Workload = Annotated[str, AfterValidator(_workload)]
Arm = Literal["baseline", "eagle3", "eagle3_no_overlap", "chain", "tree"]
Split = Literal["train", "heldout", "benchmark"]
PositiveInt = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    # built once, as part of the whole: a section on its own hardly ever is what gets parsed
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", defer_build=True)
