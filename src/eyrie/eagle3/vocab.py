"""The draft vocabulary: the target's most frequent response tokens, and its file.

In: how often the target produced each token. Out: `vocab_map.safetensors` with `d2t` [D] int64 *offsets* (target id =
draft id + d2t[draft id]), `t2d` [V] bool membership, and their digest in the metadata, so that a stale or edited map is
refused. Draft ids are in ascending order of target id. Source: arXiv:2503.01840, SpecForge `data/preprocessing.py`.

Shapes: V target vocabulary, D draft vocabulary.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from eyrie.eagle3.tensors import write_tensors
from eyrie.io import atomic_path, canonical_json

MAP_VERSION = "1"


class DraftVocabError(ValueError):
    """A draft vocabulary that cannot be built, or a map file that is damaged, stale or inconsistent."""


@dataclass(frozen=True)
class DraftVocab:
    """`d2t` [D] int64 offsets, `t2d` [V] bool. Build with `build_vocab`, read with `read_vocab`."""

    d2t: Tensor
    t2d: Tensor

    @property
    def target_ids(self) -> Tensor:
        """[D] int64: the target id of each draft id, ascending."""
        return torch.arange(len(self.d2t)) + self.d2t

    @property
    def digest(self) -> str:
        """Hex sha256 of both maps."""
        hasher = hashlib.sha256(f"{len(self.d2t)}/{len(self.t2d)}\n".encode())
        hasher.update(self.d2t.numpy().tobytes())
        hasher.update(self.t2d.numpy().tobytes())
        return hasher.hexdigest()

    def coverage(self, counts_V: Tensor) -> float:
        """Share of the counted tokens that are in the draft vocabulary; 0.0 when nothing was counted."""
        total = int(counts_V.sum())
        return int(counts_V[self.t2d].sum()) / total if total else 0.0


def build_vocab(counts_V: Tensor, *, draft_vocab_size: int, always: frozenset[int]) -> DraftVocab:
    """The `always` ids and the most frequent others, ties to the lower id. `counts_V` is int64 >= 0.

    Raises DraftVocabError when D exceeds V, or is too small for the `always` ids, or one of them is outside V.
    """
    vocab_size = len(counts_V)
    if draft_vocab_size > vocab_size:
        raise DraftVocabError(
            f"build_vocab.draft_vocab_size: {draft_vocab_size} is more than the target's vocabulary of {vocab_size}"
        )
    if outside := sorted(token for token in always if not 0 <= token < vocab_size):
        raise DraftVocabError(
            f"the target's end-of-turn id {outside[0]} is outside its vocabulary of {vocab_size}; its config.json, "
            "generation_config.json and tokenizer do not fit each other"
        )
    if draft_vocab_size < len(always):
        raise DraftVocabError(
            f"build_vocab.draft_vocab_size: {draft_vocab_size} cannot hold the {len(always)} end-of-turn ids"
        )
    counts_V = counts_V.clone()
    counts_V[sorted(always)] = torch.iinfo(torch.int64).max
    # A stable descending sort keeps equal counts in id order: ties go to the lower id.
    target_ids = counts_V.sort(descending=True, stable=True).indices[:draft_vocab_size].sort().values
    t2d = torch.zeros(vocab_size, dtype=torch.bool)
    t2d[target_ids] = True
    return DraftVocab(d2t=target_ids - torch.arange(draft_vocab_size), t2d=t2d)


def check_maps(d2t: Tensor, t2d: Tensor) -> None:
    """Raise DraftVocabError unless both maps describe one ascending set of ids inside the target's vocabulary."""
    target_ids = torch.arange(len(d2t)) + d2t
    if len(target_ids) and not 0 <= int(target_ids.min()) <= int(target_ids.max()) < len(t2d):
        raise DraftVocabError(
            f"d2t reaches target ids {int(target_ids.min())} to {int(target_ids.max())}, outside 0 to {len(t2d) - 1}"
        )
    if not bool((target_ids.diff() > 0).all()):
        raise DraftVocabError("d2t does not map to strictly ascending target ids")
    if int(t2d.sum()) != len(d2t) or not bool(t2d[target_ids].all()):
        raise DraftVocabError(f"t2d marks {int(t2d.sum())} ids, and they are not the {len(d2t)} that d2t maps to")


def write_vocab(path: Path, vocab: DraftVocab) -> None:
    """Write both maps atomically, their digest in the metadata (one key: several come in a random order)."""
    metadata = {"eyrie": canonical_json({"version": MAP_VERSION, "digest": vocab.digest})}
    with atomic_path(path) as temporary:
        write_tensors(temporary, {"d2t": vocab.d2t, "t2d": vocab.t2d}, metadata)


def read_vocab(path: Path, *, vocab_size: int) -> DraftVocab:
    """Read a map made for a target vocabulary of `vocab_size`. Raises DraftVocabError naming the path."""
    try:
        with safe_open(path, framework="pt") as handle:
            metadata, names = json.loads((handle.metadata() or {}).get("eyrie", "{}")), set(handle.keys())
            if metadata.get("version") != MAP_VERSION or names != {"d2t", "t2d"}:
                raise DraftVocabError(f"{path}: not a draft vocabulary of map version {MAP_VERSION}; rebuild it")
            vocab = DraftVocab(d2t=handle.get_tensor("d2t"), t2d=handle.get_tensor("t2d"))
    except FileNotFoundError:
        raise DraftVocabError(f"{path}: no such file") from None
    except (SafetensorError, OSError) as error:
        raise DraftVocabError(f"{path}: damaged draft vocabulary: {error}") from None
    if vocab.digest != metadata.get("digest"):
        raise DraftVocabError(f"{path}: its maps do not match the digest written with them; rebuild it")
    if len(vocab.t2d) != vocab_size:
        raise DraftVocabError(
            f"{path}: made for a target vocabulary of {len(vocab.t2d)}, but the target has {vocab_size}; rebuild it"
        )
    try:
        check_maps(vocab.d2t, vocab.t2d)
    except DraftVocabError as error:
        raise DraftVocabError(f"{path}: {error}") from None
    return vocab
