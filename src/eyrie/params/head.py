"""`build_vocab`, `extract_features` and `train_head`: what the draft head is made of."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from eyrie.params.base import PositiveInt, Section, Seed


class BuildVocab(Section):
    draft_vocab_size: Annotated[int, Field(ge=2)]


class ExtractFeatures(Section):
    encoding: Literal["bf16", "int8", "int4"]
    truncated_answers: Literal["keep", "drop"]
    max_batch_tokens: PositiveInt
    num_processes: PositiveInt


class TrainHead(Section):
    seed: Seed
    init_from: Annotated[str, Field(min_length=1)] | None
    init_revision: str | None
    hidden_size: PositiveInt | None
    intermediate_size: PositiveInt
    num_layers: Annotated[int, Field(ge=1, le=8)]
    fc_norm: bool
    norm_output: bool
    ttt_steps: Annotated[int, Field(ge=1, le=16)]
    ttt_decay: Annotated[float, Field(gt=0.0, le=1.0)]
    objective: Literal["kl", "lk", "lk_hybrid"]
    lk_eta: Annotated[float, Field(gt=0.0)]
    learning_rate: Annotated[float, Field(gt=0.0, lt=1.0)]
    warmup_steps: Annotated[int, Field(ge=0)]
    max_steps: PositiveInt
    batch_tokens: PositiveInt
    micro_batch_tokens: PositiveInt
    num_processes: PositiveInt
    parallel: Literal["ddp", "fsdp"]
    max_sequence_tokens: Annotated[int, Field(ge=16)]
    shuffle_tokens: PositiveInt
    weight_decay: Annotated[float, Field(ge=0.0, lt=1.0)]
    beta1: Annotated[float, Field(ge=0.0, lt=1.0)]
    beta2: Annotated[float, Field(ge=0.0, lt=1.0)]
    max_grad_norm: Annotated[float, Field(gt=0.0)]
    ema_decay: Annotated[float, Field(gt=0.0, lt=1.0)] | None
    compute_dtype: Literal["float32", "bfloat16"]
    activation_checkpointing: bool
    compile: bool
    eval_every: PositiveInt
    decode_prompts: Annotated[int, Field(ge=0)]
    patience: PositiveInt | None
    log_every: PositiveInt
    checkpoint_every: PositiveInt
    keep_checkpoints: PositiveInt

    @model_validator(mode="after")
    def _room_to_decay(self) -> Self:
        if self.warmup_steps >= self.max_steps:
            raise ValueError(
                f"warmup_steps ({self.warmup_steps}) must be less than max_steps ({self.max_steps}), "
                "or the learning rate never falls"
            )
        return self

    @model_validator(mode="after")
    def _whole_micro_batches(self) -> Self:
        together = self.micro_batch_tokens * self.num_processes
        if self.batch_tokens % together:
            raise ValueError(
                f"batch_tokens must be a multiple of micro_batch_tokens * num_processes ({together}), "
                f"not {self.batch_tokens}"
            )
        return self
