"""`eyrie build_vocab`: choose the draft vocabulary from what the target really answers.

In: the response shards. Out: `vocab_map.safetensors` (`d2t`, `t2d`, see eagle3/vocab.py) and its coverage. Only
assistant tokens of the train split are counted; end-of-turn and end-of-text ids are always in. The target's weights are
not read.

Shapes: V target vocabulary.
"""

import logging
from pathlib import Path

import torch
from torch import Tensor

from eyrie.eagle3.vocab import build_vocab, write_vocab
from eyrie.engines.target import load_chat, load_config
from eyrie.io import write_json
from eyrie.params import Params
from eyrie.schemas import SchemaError, VocabMetrics
from eyrie.tables import RESPONSES, read_table, spans_of

logger = logging.getLogger(__name__)


def run(params: Params, *, responses: list[Path], vocab: Path, metrics: Path) -> None:
    """Write the map and VocabMetrics. Raises TargetError, SchemaError, DraftVocabError (D larger than V)."""
    config = load_config(params.target)
    vocab_size = config.get_text_config().vocab_size
    counts = {split: torch.zeros(vocab_size, dtype=torch.int64) for split in ("train", "heldout", "benchmark")}
    for path in responses:
        _count(path, counts)
    size = params.build_vocab.draft_vocab_size
    chosen = build_vocab(counts["train"], draft_vocab_size=size, always=load_chat(params.target).stop_ids)
    write_vocab(vocab, chosen)
    document = VocabMetrics(
        vocab_size=vocab_size,
        draft_vocab_size=size,
        coverage_train=chosen.coverage(counts["train"]),
        coverage_heldout=chosen.coverage(counts["heldout"]),
        digest=chosen.digest,
    )
    write_json(metrics, document)
    logger.info(
        "%d of %d ids cover %.2f%% of the train and %.2f%% of the held-out response tokens",
        size,
        vocab_size,
        100 * document.coverage_train,
        100 * document.coverage_heldout,
    )


def _count(path: Path, counts: dict[str, Tensor]) -> None:
    """Add the assistant tokens of one shard to the counts of their split. Raises SchemaError on an id outside V."""
    for row in read_table(path, RESPONSES):
        counts_V = counts[row["split"]]
        for start, end in spans_of(row):
            ids = torch.tensor(row["input_ids"][start:end], dtype=torch.int64)
            if len(ids) and int(ids.max()) >= len(counts_V):
                raise SchemaError(
                    f"{path}: prompt {row['prompt_id']} holds token id {int(ids.max())}, but the target's vocabulary "
                    f"has {len(counts_V)}: these responses come from another target"
                )
            counts_V += torch.bincount(ids, minlength=len(counts_V))
