"""Chat templates with the shapes of well-known families, and a tokenizer that knows all their special tokens.

Each is written for these tests, after the family's published format: where turns begin and end, what is injected, what
becomes of earlier reasoning. The tokenizer has one token per byte, so a hand-written piece of text has known ids.
"""

from dataclasses import dataclass, field
from datetime import date
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from eyrie.chat.template import ChatTemplate

LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}"
    "<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
LLAMA31_DATE = (
    "{{ bos_token }}<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"
    "Today Date: {{ strftime_now('%d %b %Y') }}\n\n"
    "{% if messages[0].role == 'system' %}{{ messages[0].content }}{% set messages = messages[1:] %}{% endif %}"
    "<|eot_id|>{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content }}<|eot_id|>"
    "{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
LLAMA4 = (
    "{{ bos_token }}{% for m in messages %}<|header_start|>{{ m.role }}<|header_end|>\n\n{{ m.content | trim }}<|eot|>"
    "{% endfor %}{% if add_generation_prompt %}<|header_start|>assistant<|header_end|>\n\n{% endif %}"
)
CHATML_DEFAULT_SYSTEM = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Reasoning of earlier turns is dropped; the last answer shows its own, empty when there is none.
QWEN3 = (
    "{% set ns = namespace(last=0) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}"
    "{% endif %}{% endfor %}{% for m in messages %}{% set content = m.content %}{% set why = '' %}"
    "{% if m.role == 'assistant' and '</think>' in content %}"
    "{% set why = content.split('</think>')[0].split('<think>')[-1].strip('\n') %}"
    "{% set content = content.split('</think>')[-1].lstrip('\n') %}{% endif %}<|im_start|>{{ m.role }}\n"
    "{% if m.role == 'assistant' and loop.index0 > ns.last %}<think>\n{{ why }}\n</think>\n\n{% endif %}"
    "{{ content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}"
    "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
# The system prompt goes into the first user turn, and into no turn of its own.
GEMMA3 = (
    "{{ bos_token }}{% set first = '' %}{% if messages[0].role == 'system' %}"
    "{% set first = messages[0].content + '\n\n' %}{% set messages = messages[1:] %}{% endif %}{% for m in messages %}"
    "<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ first if loop.first else '' }}"
    "{{ m.content | trim }}<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
# The system prompt stands in the last user turn: history renders differently at every turn.
MISTRAL = (
    "{% if messages[0].role == 'system' %}{% set system = messages[0].content %}"
    "{% set messages = messages[1:] %}{% endif %}{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] "
    "{% if loop.last and system is defined %}{{ system }}\n\n{% endif %}{{ m.content }}[/INST]"
    "{% else %} {{ m.content | trim }}{{ eos_token }}{% endif %}{% endfor %}"
)
PHI4 = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
HARMONY = (
    "<|start|>system<|message|>Current date: {{ strftime_now('%Y-%m-%d') }}\n\nReasoning: "
    "{{ reasoning_effort | default('medium') }}<|end|>{% for m in messages %}{% if m.role == 'system' %}"
    "<|start|>developer<|message|># Instructions\n\n{{ m.content }}<|end|>{% elif m.role == 'user' %}"
    "<|start|>user<|message|>{{ m.content }}<|end|>{% else %}"
    "{% if '<|channel|>' in m.content %}{{ raise_exception('the content holds channel tags') }}{% endif %}"
    "{% if loop.last and m.thinking %}"
    "<|start|>assistant<|channel|>analysis<|message|>{{ m.thinking }}<|end|>{% endif %}"
    "<|start|>assistant<|channel|>final<|message|>{{ m.content }}"
    "{{ '<|return|>' if loop.last and not add_generation_prompt else '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)
# The generation prompt opens the reasoning; history keeps only what follows it.
DEEPSEEK_R1 = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}{% elif m.role == 'user' %}"
    "<｜User｜>{{ m.content }}{% else %}<｜Assistant｜>{{ m.content.split('</think>')[-1] }}"
    "<｜end▁of▁sentence｜>{% endif %}{% endfor %}{% if add_generation_prompt %}<｜Assistant｜><think>\n{% endif %}"
)
DEEPSEEK_V3 = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}{% elif m.role == 'user' %}"
    "<｜User｜>{{ m.content }}{% else %}<｜Assistant｜>{{ m.content }}<｜end▁of▁sentence｜>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<｜Assistant｜>{% endif %}"
)

_SPECIALS = """
<|begin_of_text|> <|start_header_id|> <|end_header_id|> <|eot_id|> <|header_start|> <|header_end|> <|eot|>
<|im_start|> <|im_end|> <bos> <start_of_turn> <end_of_turn> <s> </s> [INST] [/INST] <|system|> <|user|> <|assistant|>
<|end|> <|start|> <|channel|> <|message|> <|return|> <|call|> <｜begin▁of▁sentence｜> <｜User｜> <｜Assistant｜>
<｜end▁of▁sentence｜>
"""


def byte_tokenizer(merges: list[tuple[str, str]] | None = None) -> PreTrainedTokenizerFast:
    """One token per byte, the special tokens, `<think>` as an ordinary added token, and what `merges` add."""
    vocabulary = {character: index for index, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    for left, right in merges or []:
        vocabulary[left + right] = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges or []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(_SPECIALS.split())
    tokenizer.add_tokens(["<think>", "</think>"])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


@dataclass(frozen=True)
class Shape:
    template: str
    stops: tuple[str, ...]
    bos: str = "<|begin_of_text|>"
    eos: str = "</s>"
    settings: dict[str, Any] = field(default_factory=dict)

    def chat(self) -> ChatTemplate:
        tokenizer = byte_tokenizer()
        tokenizer.bos_token, tokenizer.eos_token, tokenizer.chat_template = self.bos, self.eos, self.template
        stops = frozenset(tokenizer.convert_tokens_to_ids(list(self.stops)))
        return ChatTemplate(tokenizer, stops, self.settings, date(2026, 1, 2))


SHAPES = {
    "llama3": Shape(LLAMA3, ("<|eot_id|>",)),
    "llama3.1-date": Shape(LLAMA31_DATE, ("<|eot_id|>",)),
    "llama4": Shape(LLAMA4, ("<|eot|>",)),
    "chatml-default-system": Shape(CHATML_DEFAULT_SYSTEM, ("<|im_end|>",)),
    "qwen3-thinking": Shape(QWEN3, ("<|im_end|>",)),
    "qwen3-no-thinking": Shape(QWEN3, ("<|im_end|>",), settings={"enable_thinking": False}),
    "gemma": Shape(GEMMA, ("<end_of_turn>",), bos="<bos>"),
    "gemma3": Shape(GEMMA3, ("<end_of_turn>",), bos="<bos>"),
    "mistral": Shape(MISTRAL, ("</s>",), bos="<s>"),
    "phi4": Shape(PHI4, ("<|end|>",)),
    "harmony": Shape(HARMONY, ("<|return|>", "<|call|>"), settings={"reasoning_effort": "low"}),
    "deepseek-r1": Shape(DEEPSEEK_R1, ("<｜end▁of▁sentence｜>",), bos="<｜begin▁of▁sentence｜>"),
    "deepseek-v3": Shape(DEEPSEEK_V3, ("<｜end▁of▁sentence｜>",), bos="<｜begin▁of▁sentence｜>"),
}
