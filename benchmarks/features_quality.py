"""`python -m benchmarks.features_quality --work DIR`: what an encoding of the features costs in acceptance length.

Trains the head of params.yaml on the same rows stored as bf16, int8 and int4, with several seeds, and scores every
exported head on the same held-out rows, which are kept as bf16: only training sees the encoding. Reads the answers and
the draft vocabulary that the pipeline made (`make run` first). Every finished training is kept in DIR, so that the
command can be stopped and started again; it prints the table at the end, or with `--table`.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

from eyrie.eagle3.batches import Document, pack
from eyrie.eagle3.checkpoint import load_head
from eyrie.eagle3.logits import LogitScaling
from eyrie.eagle3.loss import TttLoss
from eyrie.eagle3.objective import Objective
from eyrie.eagle3.simulate import count_heldout, no_counts
from eyrie.eagle3.teacher import Teacher
from eyrie.eagle3.vocab import read_vocab
from eyrie.engines.target import load_config
from eyrie.engines.target_ends import load_ends
from eyrie.features.store import read_shard
from eyrie.io import read_json
from eyrie.params import Params, load_params, parse_params
from eyrie.schemas import TrainMetrics
from eyrie.stages import extract_features, train_head
from eyrie.tables import teacher_positions

ENCODINGS = ("bf16", "int8", "int4")
TOLERATED = -0.005  # an encoding holds when its mean relative change is no worse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=Path("data"), help="the pipeline's data folder")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--limit-s", type=float, default=1e9, help="start no training after so many seconds")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    arguments = parser.parse_args()
    started = time.monotonic()
    params = load_params(Path("params.yaml"))
    for seed in range(1, arguments.seeds + 1):
        for encoding in ENCODINGS:
            if arguments.table or time.monotonic() - started > arguments.limit_s:
                continue
            result = arguments.work / f"{encoding}-{seed}.json"
            if not result.exists():
                tau = train_and_score(params, encoding, seed, arguments.work, arguments.data)
                result.write_text(json.dumps({"acceptance_length": tau}))
                print(f"{encoding} seed {seed}: {tau:.4f}", flush=True)
    print_table(arguments.work)


def with_changes(params: Params, encoding: str, seed: int) -> Params:
    raw = params.model_dump(mode="json")
    raw["extract_features"]["encoding"] = encoding
    raw["train_head"]["seed"] = seed
    return parse_params(raw, origin="params.yaml")


def features_of(params: Params, encoding: str, work: Path, data: Path) -> list[Path]:
    paths = []
    for index, responses in enumerate(sorted((data / "responses").glob("shard-*.parquet"))):
        paths.append(work / encoding / f"shard-{index:04d}.arrow")
        if not paths[-1].exists():
            changed = with_changes(params, encoding, 1)
            extract_features.run(changed, shard=index, responses=responses, features=paths[-1])
    return paths


def train_and_score(params: Params, encoding: str, seed: int, work: Path, data: Path) -> float:
    """The simulated acceptance length of the exported head on the held-out rows."""
    out = work / f"{encoding}-{seed}"
    train_head.run(
        with_changes(params, encoding, seed),
        features=features_of(params, encoding, work, data),
        vocab=data / "vocab" / "vocab_map.safetensors",
        head=out / "head",
        curves=out / "curves",
        metrics=out / "metrics.json",
        scratch=out / "scratch",
    )
    assert read_json(out / "metrics.json", TrainMetrics).best_step > 0
    return score(params, out / "head", data, features_of(params, "bf16", work, data))


def score(params: Params, folder: Path, data: Path, heldout: list[Path]) -> float:
    config = load_config(params.target).get_text_config()
    ends = load_ends(params.target)
    head = load_head(folder, config, device=torch.device("cpu"), dtype=torch.float32)
    target_ids = read_vocab(data / "vocab" / "vocab_map.safetensors", vocab_size=config.vocab_size).target_ids
    teacher = Teacher(ends.lm_head_VH, LogitScaling.of(config), target_ids)
    objective = Objective(params.train_head.ttt_steps, params.train_head.ttt_decay)
    module = TttLoss(head, ends.embedding_VH, teacher, objective)
    counts = no_counts(objective.num_steps)
    rows = [row for path in heldout for row in read_shard(path)[1]]
    for row in rows:
        if row.split == "heldout" and teacher_positions(row.spans):
            document = Document(row.prompt_id, row.input_ids, row.aux, row.teachers, row.spans)
            batch = pack([document], torch.device("cpu"))
            count_heldout(counts, module, batch, teacher.argmax(batch.teacher_last_RH))
    return counts.score(objective).acceptance_length


def print_table(work: Path) -> None:
    taus = {
        encoding: {
            path.stem.rsplit("-", 1)[1]: json.loads(path.read_text())["acceptance_length"]
            for path in sorted(work.glob(f"{encoding}-*.json"))
        }
        for encoding in ENCODINGS
    }
    print("\n| encoding | acceptance length per seed | mean | change against bf16, per seed | mean change | holds |")
    print("|---|---|---|---|---|---|")
    for encoding, found in taus.items():
        changes = [tau / taus["bf16"][seed] - 1 for seed, tau in found.items() if seed in taus["bf16"]]
        if not changes:
            continue
        mean, holds = statistics.mean(changes), "yes" if statistics.mean(changes) >= TOLERATED else "no"
        lengths = f"{', '.join(f'{tau:.4f}' for tau in found.values())} | {statistics.mean(found.values()):.4f}"
        print(
            f"| {encoding} | {lengths} | {', '.join(f'{change:+.2%}' for change in changes)} | {mean:+.2%} | {holds} |"
        )


if __name__ == "__main__":
    main()
