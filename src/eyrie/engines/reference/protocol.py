"""Request and response bodies of the server: the OpenAI fields this engine honours, and SGLang's `/generate`.

Unknown fields are ignored as OpenAI servers do, but a field that would change the answer and is not supported here is
refused. Extra response fields ride in `meta_info`, as SGLang's do.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from eyrie.engines.reference.request import Request
from eyrie.engines.reference.sampling import SamplingParams
from eyrie.io import canonical_json

_UNSUPPORTED: dict[str, tuple[Any, ...]] = {  # field -> the values that ask for nothing, null apart
    "n": (1,),
    "best_of": (1,),
    "stop": ([], ""),
    "logprobs": (False, 0),
    "top_logprobs": (0,),
    "echo": (False,),
    "suffix": ("",),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "response_format": ({"type": "text"},),
    "reasoning_effort": (),
    # SGLang's own
    "top_k": (-1,),
    "min_p": (0,),
    "min_tokens": (0,),
    "repetition_penalty": (1,),
    "stop_token_ids": ([],),
    "stop_regex": ([], ""),
    "regex": (),
    "ebnf": (),
    "json_schema": (),
    "skip_special_tokens": (True,),
    "continue_final_message": (False,),
}

Temperature = Annotated[float, Field(ge=0.0, le=2.0)]
TopP = Annotated[float, Field(gt=0.0, le=1.0)]
NewTokens = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


class Body(BaseModel):
    model_config = ConfigDict(extra="allow")

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, given: Any) -> Any:
        return {name: value for name, value in given.items() if value is not None} if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _supported(self) -> Self:
        for name, value in (self.model_extra or {}).items():
            if name in _UNSUPPORTED and value not in _UNSUPPORTED[name]:
                raise ValueError(f"{name} is not supported by the reference engine (got {value!r})")
        return self


class StreamOptions(BaseModel):
    include_usage: bool = False


class OpenAIBody(Body):
    """What chat and text completions share. OpenAI's defaults: temperature 1, top_p 1."""

    model: str | None = None
    temperature: Temperature = 1.0
    top_p: TopP = 1.0
    seed: Seed | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    ignore_eos: bool = False

    def sampling(self, max_new_tokens: int) -> SamplingParams:
        return SamplingParams(max_new_tokens, self.temperature, self.top_p, self.seed, self.ignore_eos)


class TextPart(BaseModel):
    type: Literal["text"]
    text: str


class Message(BaseModel):
    """Other fields (reasoning of an earlier turn, a name) go to the template as they are."""

    model_config = ConfigDict(extra="allow")

    role: str
    content: str | list[TextPart]

    def plain(self) -> dict[str, Any]:
        """As the template takes it. Raises ValueError."""
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        check_text(text)
        return {**(self.model_extra or {}), "role": self.role, "content": text}


class ChatBody(OpenAIBody):
    messages: Annotated[list[Message], Field(min_length=1)]
    max_tokens: NewTokens | None = None
    max_completion_tokens: NewTokens | None = None
    chat_template_kwargs: dict[str, Any] = {}

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Raises ValueError where the template is to be rendered under other variables than the server's `settings`."""
        for name, value in self.chat_template_kwargs.items():
            if name not in settings or canonical_json(settings[name]) != canonical_json(value):  # 1 is not true here
                raise ValueError(
                    f"chat_template_kwargs.{name} is not supported by the reference engine but as the server was "
                    "started with it (target.chat_template_settings)"
                )


class CompletionBody(OpenAIBody):
    prompt: str | list[int]
    max_tokens: NewTokens = 16

    def prompt_ids(self, tokenizer: Any) -> list[int]:
        """Raises ValueError."""
        if isinstance(self.prompt, list):
            return self.prompt
        check_text(self.prompt)
        return list(tokenizer(self.prompt)["input_ids"])


class GenerateSampling(BaseModel):
    model_config = ConfigDict(extra="forbid")

    max_new_tokens: NewTokens = 128
    temperature: Temperature = 1.0
    top_p: TopP = 1.0
    sampling_seed: Seed | None = None
    ignore_eos: bool = False


class GenerateBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    input_ids: list[int]
    sampling_params: GenerateSampling = GenerateSampling()
    return_logprob: bool = False
    top_logprobs_num: Annotated[int, Field(ge=0, le=20)] = 0

    def sampling(self) -> SamplingParams:
        given = self.sampling_params
        return SamplingParams(
            given.max_new_tokens,
            given.temperature,
            given.top_p,
            given.sampling_seed,
            given.ignore_eos,
            self.top_logprobs_num if self.return_logprob else 0,
        )


def check_text(text: str) -> None:
    """Raises ValueError for half of a surrogate pair, which JSON can hold and no tokenizer takes."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"the text is not valid Unicode at character {error.start}: half of a surrogate pair"
        ) from None


def usage(request: Request) -> dict[str, int]:
    """OpenAI's token counts."""
    prompt, completion = len(request.prompt_ids), len(request.output_ids)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def meta_info(request: Request) -> dict[str, Any]:
    """SGLang's per-request figures. `completion_tokens` counts prefill's token; without a head there is no verify."""
    info: dict[str, Any] = {
        "prompt_tokens": len(request.prompt_ids),
        "completion_tokens": len(request.output_ids),
        "finish_reason": {"type": request.finish_reason},
    }
    if request.top_logprobs:
        info["output_top_logprobs"] = [[(value, token, None) for value, token in top] for top in request.top_logprobs]
    if request.accepted_by_position:
        info |= {"spec_verify_ct": request.num_verify_steps, "spec_accepted_by_position": request.accepted_by_position}
    return info
