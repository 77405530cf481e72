"""`eyrie train_head`: train the draft head on the target's hidden states, and export the best one.

In: feature shards (rows of split `train` and `heldout`), the draft vocabulary, the target's embedding and lm_head (no
other weight of it). Out: the serving checkpoint (eagle3/checkpoint.py) of the held-out optimum, the curves
`train.csv` and `heldout.csv`, TrainMetrics.
"""

import hashlib
import logging
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import torch

from eyrie.eagle3.batches import Document
from eyrie.eagle3.checkpoint import save_head
from eyrie.eagle3.config import HeadConfig
from eyrie.eagle3.head import Eagle3Head
from eyrie.eagle3.model_card import render_model_card
from eyrie.eagle3.teacher import Teacher
from eyrie.eagle3.trainer import Outcome, Trainer
from eyrie.eagle3.vocab import read_vocab
from eyrie.engines.target import load_config, load_ends, resolve_device
from eyrie.features.rows import FeatureRow
from eyrie.features.store import read_shard, require_target
from eyrie.io import write_json, write_text
from eyrie.lineage.digests import target_revision
from eyrie.params import Params
from eyrie.schemas import TrainMetrics

logger = logging.getLogger(__name__)


def run(params: Params, *, features: list[Path], vocab: Path, head: Path, curves: Path, metrics: Path) -> None:
    """Fill the folders `head` and `curves`, write `metrics`.

    Raises TargetError, SchemaError, DraftVocabError, TrainingError (nothing to learn from, or the loss is no number).
    """
    config = load_config(params.target).get_text_config()
    draft_vocab = read_vocab(vocab, vocab_size=config.vocab_size)
    head_config = HeadConfig.from_target(
        config, draft_vocab_size=len(draft_vocab.d2t), intermediate_size=params.train_head.intermediate_size
    )
    revision = target_revision(params.target.model, params.target.revision)
    rows = list(_read_rows(features, head_config, revision))
    device = resolve_device(params.target.device)
    ends = load_ends(params.target)
    embedding_VH, lm_head_VH = ends.embedding_VH.to(device), ends.lm_head_VH.to(device)
    logit_cap = getattr(config, "final_logit_softcapping", None)
    teacher = Teacher(lm_head_VH, logit_cap, draft_vocab.target_ids.to(device))

    torch.manual_seed(params.train_head.seed)
    model = Eagle3Head(head_config)
    model.set_vocab(draft_vocab)
    model.start_from(ends.lm_head_VH)
    trainer = Trainer(
        model.to(device),
        embedding_VH,
        teacher,
        train=[document for split, document in rows if split == "train"],
        heldout=[document for split, document in rows if split == "heldout"],
        settings=params.train_head,
    )
    outcome = trainer.run()
    document = _metrics(model, params, outcome)
    card = render_model_card(
        params, head_config, document, data_digest=_data_digest(features), eyrie_version=version("eyrie")
    )
    save_head(model, head, model_card=card)
    _write_curves(curves, outcome)
    write_json(metrics, document)
    logger.info("exported step %d of %d", outcome.best_step, params.train_head.max_steps)


def _read_rows(features: list[Path], config: HeadConfig, revision: str) -> Iterator[tuple[str, Document]]:
    """(split, document) of every row. Raises SchemaError when a shard is of another target."""
    for path in features:
        meta, rows = read_shard(path)
        require_target(
            path,
            meta,
            hidden_size=config.target_hidden_size,
            aux_layer_ids=config.aux_layer_ids,
            target_revision=revision,
        )
        for row in rows:
            yield row.split, _document(path, row)


def _document(path: Path, row: FeatureRow) -> Document:
    return Document(f"{path.name} prompt {row.prompt_id}", row.input_ids, row.aux, row.last, row.spans)


def _data_digest(features: list[Path]) -> str:
    """Hex sha256 of the rows trained and evaluated on: prompt, split, tokens, spans, in order."""
    hasher = hashlib.sha256()
    for path in features:
        for row in read_shard(path)[1]:
            hasher.update(f"{row.prompt_id}\0{row.split}\0{row.spans}\0".encode())
            hasher.update(row.input_ids.numpy().tobytes())
    return hasher.hexdigest()


def _metrics(model: Eagle3Head, params: Params, outcome: Outcome) -> TrainMetrics:
    return TrainMetrics(
        steps=params.train_head.max_steps,
        best_step=outcome.best_step,
        tokens_seen=outcome.tokens_seen,
        supervised_tokens_seen=outcome.supervised_seen,
        train_loss=outcome.train_loss,
        heldout_loss=outcome.best.loss,
        heldout_acceptance_length=outcome.best.acceptance_length,
        heldout_accuracy=list(outcome.best.accuracy),
        num_parameters=sum(weight.numel() for weight in model.parameters()),
    )


def _write_curves(folder: Path, outcome: Outcome) -> None:
    """`train.csv`: step,loss,learning_rate. `heldout.csv`: step,loss,acceptance_length,accuracy_1..K."""
    train = ["step,loss,learning_rate"]
    train += [f"{point.step},{point.loss:.6f},{point.learning_rate:.6g}" for point in outcome.train_points]
    names = [f"accuracy_{index}" for index in range(1, len(outcome.best.accuracy) + 1)]
    heldout = [",".join(["step", "loss", "acceptance_length", *names])]
    for step, score in outcome.heldout_points:
        values = [score.loss, score.acceptance_length, *score.accuracy]
        heldout.append(",".join([str(step), *(f"{value:.6f}" for value in values)]))
    write_text(folder / "train.csv", "\n".join(train) + "\n")
    write_text(folder / "heldout.csv", "\n".join(heldout) + "\n")
