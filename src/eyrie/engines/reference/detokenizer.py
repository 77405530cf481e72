"""Text of a growing list of token ids, in pieces that never split a character.

A token may hold part of a multi-byte character, and some tokenizers decode a token differently behind another one. So
the text so far is decoded from a few tokens back, and held back while it ends in U+FFFD. Source: the `prefix_offset` /
`read_offset` scheme of text-generation-inference, as in SGLang's `srt/managers/detokenizer_manager.py`.
"""

from typing import Any

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class IncrementalDetokenizer:
    """`push` the new ids, get the text that is certain by now; `flush` gives what is left."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._prefix = 0  # decoding starts here ...
        self._read = 0  # ... and the text up to here was given out

    def push(self, ids: list[int]) -> str:
        self._ids.extend(ids)
        return self._advance(final=False)

    def flush(self) -> str:
        return self._advance(final=True)

    def _advance(self, *, final: bool) -> str:
        given = self._decode(self._ids[self._prefix : self._read])
        text = self._decode(self._ids[self._prefix :])
        if len(text) <= len(given) or (text.endswith(_REPLACEMENT) and not final):
            return ""
        self._prefix, self._read = self._read, len(self._ids)
        return text[len(given) :]

    def _decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text
