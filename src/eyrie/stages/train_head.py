"""`eyrie train_head`: train the draft head on the target's hidden states, and export the best one.

In: feature shards (rows of split `train` and `heldout`), the draft vocabulary, the target's embedding and lm_head (no
other weight of it). Out: the serving checkpoint (eagle3/checkpoint.py) of the held-out optimum, the curves
(eagle3/curves.py), TrainMetrics.
"""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from eyrie.eagle3.batches import Document
from eyrie.eagle3.checkpoint import save_head
from eyrie.eagle3.config import HeadConfig
from eyrie.eagle3.curves import Curves
from eyrie.eagle3.head import Eagle3Head
from eyrie.eagle3.initial import config_to_go_on, head_folder, start_from_head
from eyrie.eagle3.loggers import open_loggers
from eyrie.eagle3.logits import LogitScaling
from eyrie.eagle3.model_card import render_model_card
from eyrie.eagle3.processes import Processes, joined, launch
from eyrie.eagle3.resume import Checkpoints
from eyrie.eagle3.spread import whole
from eyrie.eagle3.teacher import Teacher
from eyrie.eagle3.trainer import Outcome, Trainer, TrainingError
from eyrie.eagle3.vocab import read_vocab
from eyrie.engines.memory import out_of_memory_says
from eyrie.engines.reference.acceptance import decoded_acceptance_length
from eyrie.engines.target import TargetModel, load_config, load_target, resolve_device
from eyrie.engines.target_ends import load_ends
from eyrie.features.decoding import CPU, decode_rows
from eyrie.features.plan import cut_batches
from eyrie.features.reader import BatchReader, rows_in_order
from eyrie.features.rows import FeatureRow
from eyrie.features.store import Shard, require_target
from eyrie.io import canonical_json, digest_of, write_json, write_text
from eyrie.lineage.digests import target_revision
from eyrie.params import Params, TrainHead, parse_params
from eyrie.schemas import TrainMetrics

logger = logging.getLogger(__name__)

_DECODED_TOKENS = 48  # of each held-out prompt that is decoded, at most


def run(
    params: Params, *, features: list[Path], vocab: Path, head: Path, curves: Path, metrics: Path, scratch: Path
) -> None:
    """Fill the folders `head` and `curves`, write `metrics`. Checkpoints in `scratch` outlive a kill.

    With `train_head.num_processes` above 1, torchrun starts so many on this machine, and they do the same together.
    Raises TargetError, SchemaError, DraftVocabError, CheckpointError, TrainingError, DeviceMemoryError and ValueError
    (nothing to learn from, or the loss is no number).
    """
    files = _Files(features, vocab, head, curves, metrics, scratch)
    if params.train_head.num_processes == 1:
        _train(params, files, Processes())
        return
    job = scratch / "job.json"
    write_text(job, canonical_json({"params": params.model_dump(mode="json"), "files": files.to_json()}))
    launch("eyrie.stages.train_head", job, num_processes=params.train_head.num_processes)


@dataclass(frozen=True)
class _Files:
    features: list[Path]
    vocab: Path
    head: Path
    curves: Path
    metrics: Path
    scratch: Path

    def to_json(self) -> dict[str, Any]:
        return {**{key: str(value) for key, value in vars(self).items()}, "features": [str(p) for p in self.features]}

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> "_Files":
        paths = {key: Path(value) for key, value in raw.items() if key != "features"}
        return cls(features=[Path(path) for path in raw["features"]], **paths)


@out_of_memory_says(
    "lower train_head.micro_batch_tokens or decode_prompts, set activation_checkpointing: true, or parallel: fsdp with "
    "more num_processes"
)
def _train(params: Params, files: _Files, processes: Processes) -> None:
    settings = params.train_head
    config = load_config(params.target).get_text_config()
    draft_vocab = read_vocab(files.vocab, vocab_size=config.vocab_size)
    head_config = HeadConfig.from_target(
        config,
        draft_vocab_size=len(draft_vocab.d2t),
        intermediate_size=settings.intermediate_size,
        hidden_size=settings.hidden_size,
        num_hidden_layers=settings.num_layers,
        fc_norm=settings.fc_norm,
        norm_output=settings.norm_output,
    )
    start = head_folder(settings.init_from, settings.init_revision) if settings.init_from is not None else None
    if start is not None:
        head_config = config_to_go_on(head_config, start, num_target_layers=config.num_hidden_layers)
    revision = target_revision(params.target.model, params.target.revision)
    data_digest = _check_features(files.features, head_config, revision)
    _check_heldout(params, files.features)
    device = processes.device(resolve_device(params.target.device))
    ends, scaling = load_ends(params.target), LogitScaling.of(config)

    torch.manual_seed(settings.seed)
    model = Eagle3Head(head_config)
    model.set_vocab(draft_vocab)
    model.start_from(ends.embedding_VH, ends.lm_head_VH, logit_scale=scaling.scale)
    if start is not None:
        start_from_head(model, start)
    embedding_VH = ends.embedding_VH.to(device)
    lm_head_VH = embedding_VH if ends.lm_head_VH is ends.embedding_VH else ends.lm_head_VH.to(device)
    trainer = Trainer(
        model.to(device),
        embedding_VH,
        Teacher(lm_head_VH, scaling, draft_vocab.target_ids.to(device)),
        batches=partial(_TrainingBatches, files.features, settings, processes, device),
        heldout=partial(_heldout_batches, files.features, settings, processes, device),
        settings=settings,
        decode=_decoder(params, files.features) if settings.decode_prompts and processes.is_first else None,
        checkpoints=Checkpoints(files.scratch, keep=settings.keep_checkpoints),
        curves=Curves(files.curves, open_loggers(settings)) if processes.is_first else None,
        processes=processes,
    )
    try:
        outcome = trainer.run()
    except TrainingError as error:
        raise TrainingError(str(error) + _where(files.features, error.prompt_ids)) from None
    weights = whole(model.state_dict())
    if not processes.is_first:
        return
    with torch.device("meta"):
        exported = Eagle3Head(head_config)
    exported.load_state_dict(weights, assign=True)
    document = _metrics(exported, outcome)
    card = render_model_card(params, head_config, document, data_digest=data_digest, eyrie_version=version("eyrie"))
    save_head(exported, files.head, model_card=card)
    write_json(files.metrics, document)
    logger.info("exported step %d of %d", outcome.best_step, outcome.steps)


class _TrainingBatches:
    """The training split as eagle3 takes it (`DocumentBatches`)."""

    def __init__(
        self, features: list[Path], settings: TrainHead, processes: Processes, device: torch.device, position: Any
    ) -> None:
        self._reader = BatchReader(
            features,
            split="train",
            seed=settings.seed,
            batch_tokens=settings.micro_batch_tokens,
            max_sequence_tokens=settings.max_sequence_tokens,
            shuffle_tokens=settings.shuffle_tokens,
            rank=processes.rank,
            world_size=processes.world_size,
            device=device,
            start=position,
        )

    @property
    def position(self) -> Any:
        return self._reader.position

    def __iter__(self) -> Iterator[list[Document]]:
        return self

    def __next__(self) -> list[Document]:
        return [_document(row) for row in next(self._reader)]

    def close(self) -> None:
        self._reader.close()


def _heldout_batches(
    features: list[Path], settings: TrainHead, processes: Processes, device: torch.device
) -> Iterator[list[Document]]:
    """This process's share of the held-out split, in the order of its rows, in batches as large as in training."""
    max_tokens = settings.max_sequence_tokens
    rows = rows_in_order(features, split="heldout", max_tokens=max_tokens)
    for number, batch in enumerate(cut_batches(rows, settings.micro_batch_tokens)):
        if number % processes.world_size == processes.rank:
            encoded = [row.encoded for row in batch if row.encoded is not None]
            yield [_document(row) for row in decode_rows(encoded, max_tokens, device)]


def _check_heldout(params: Params, features: list[Path]) -> None:
    """Raises TrainingError: without held-out rows the first evaluation, hours later, would have nothing to measure."""
    max_tokens = params.train_head.max_sequence_tokens
    if next(rows_in_order(features, split="heldout", max_tokens=max_tokens), None) is None:
        dropped = (
            "; extract_features.truncated_answers is drop, so answers that ran out of "
            "generate_responses.sampling.*.max_new_tokens are not there"
        )
        raise TrainingError(
            f"{features[0].parent}: no row of split heldout has an assistant turn of 2 tokens or more within "
            f"train_head.max_sequence_tokens ({max_tokens})"
            + (dropped if params.extract_features.truncated_answers == "drop" else "")
        )


def _decoder(params: Params, features: list[Path]) -> Callable[[Eagle3Head], float]:
    """What decodes the same few held-out prompts each time. The target is loaded when it is first called."""
    settings = params.train_head

    @cache
    def prepared() -> tuple[TargetModel, list[list[int]]]:
        batches = _heldout_batches(features, settings, Processes(), CPU)
        starts = [(one, one.spans[0][0]) for batch in batches for one in batch]
        prompts = [one.input_ids[:start].tolist() for one, start in starts if start]  # else its answer comes first
        spacing = max(len(prompts) // settings.decode_prompts, 1)  # rows of a workload may lie side by side
        return load_target(params.target), prompts[::spacing][: settings.decode_prompts]

    def decode(head: Eagle3Head) -> float:
        target, prompts = prepared()
        return decoded_acceptance_length(
            head, target, prompts, num_steps=settings.ttt_steps, max_new_tokens=_DECODED_TOKENS
        )

    return decode


def _document(row: FeatureRow) -> Document:
    return Document(row.prompt_id, row.input_ids, row.aux, row.teachers, row.spans)


def _check_features(features: list[Path], config: HeadConfig, revision: str) -> str:
    """Digest of all shards' rows, as their indexes have them. Raises SchemaError when a shard is of another target."""
    digests = []
    for path in features:
        with Shard(path) as shard:
            require_target(
                path,
                shard.meta,
                hidden_size=config.target_hidden_size,
                aux_layer_ids=config.aux_layer_ids,
                target_revision=revision,
            )
            digests.append(shard.index_digest)
    return digest_of(digests)


def _where(features: list[Path], prompt_ids: Sequence[str]) -> str:
    """In which shards the rows of these prompts lie."""
    found = []
    for path in features:
        with Shard(path) as shard:
            here = {entry.prompt_id for entry in shard.header.rows}
        found += [f"{path.name} prompt {prompt_id}" for prompt_id in prompt_ids if prompt_id in here]
    return f": {', '.join(found)}" if found else ""


def _metrics(model: Eagle3Head, outcome: Outcome) -> TrainMetrics:
    return TrainMetrics(
        steps=outcome.steps,
        best_step=outcome.best_step,
        tokens_seen=outcome.tokens_seen,
        supervised_tokens_seen=outcome.supervised_seen,
        train_loss=outcome.train_loss,
        heldout_loss=outcome.best.loss,
        heldout_acceptance_length=outcome.best.acceptance_length,
        heldout_decoded_acceptance_length=outcome.best.decoded_acceptance_length,
        heldout_accuracy=list(outcome.best.accuracy),
        num_parameters=sum(weight.numel() for weight in model.parameters()),
    )


def work(job: Path) -> None:
    """One of the processes that torchrun started."""
    raw = json.loads(job.read_text(encoding="utf-8"))
    with joined(job) as processes:
        level = logging.INFO if processes.is_first else logging.ERROR
        logging.basicConfig(level=level, format="train_head: %(message)s")
        _train(parse_params(raw["params"], origin=str(job)), _Files.from_json(raw["files"]), processes)
