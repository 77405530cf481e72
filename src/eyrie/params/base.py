"""What all sections of params.yaml share: how strictly they are checked, and the words several of them use."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Workload = Literal["chat", "code", "math", "extraction", "multi_turn", "instruction", "summarisation", "long_context"]
Arm = Literal["baseline", "eagle3", "eagle3_no_overlap", "chain", "tree"]
Split = Literal["train", "heldout", "benchmark"]
PositiveInt = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")
