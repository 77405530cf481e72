"""`python -m benchmarks.features`: what the feature store costs in bytes and time, against one file per sample.

Three tables, each of one run on the same sequences:

- `store`: bytes per token, write and read rates of every encoding, against SpecForge's layout (one `torch.save` dict
  per sample: bf16 last and aux states, ids, mask; read with `weights_only`). Rows are the pipeline's responses with the
  demo target's states, and made-up ones of the shape of an 8B target (hidden size 4096, 70% answer tokens, heavy tails,
  large channels, massive activations at the first token), with the reconstruction error of each encoding.
  Rows are read as stored (what decoding, on whatever device, starts from) and decoded: a whole epoch through
  `BatchReader` with one worker. Cold: wall time, both layouts dropped from the page cache before. Warm: CPU time (of
  all threads), both in the page cache; blocks are compared with their checksums in the first epoch only. One byte of
  each page of every tensor is used, so that what is mapped is really there.
- `container`: the same cells in Arrow IPC, Parquet and safetensors.
- `extract`: the stage's loop against a bare forward of the same batches, in turn.

What an encoding costs in quality is measured by `benchmarks.features_quality`.
"""

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import accumulate, pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from eyrie.eagle3.config import aux_layer_ids
from eyrie.engines.packed import _attention_within
from eyrie.engines.target import load_target
from eyrie.features.decoding import decode_rows
from eyrie.features.format import ShardMeta
from eyrie.features.reader import BatchReader
from eyrie.features.rows import FeatureRow
from eyrie.features.store import Shard, cut_blocks, entry_of, new_shard
from eyrie.params import load_params
from eyrie.stages.extract_features import _entry, _features
from eyrie.tables import RESPONSES, read_table, teacher_positions

ENCODINGS = ("bf16", "int8", "int4")
TABLES = ("store", "container", "extract")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", choices=TABLES, action="append", help="which to make; default: all")
    parser.add_argument("--data", type=Path, default=Path("data"), help="the pipeline's data folder")
    parser.add_argument("--rows", type=int, default=256, help="rows of the demo target")
    parser.add_argument("--rows-8b", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    tables = arguments.table or list(TABLES)
    target = load_target(load_params(Path("params.yaml")).target)
    responses = read_table(sorted((arguments.data / "responses").glob("shard-*.parquet"))[0], RESPONSES)
    responses = responses[: arguments.rows]
    layers = list(aux_layer_ids(target.config.num_hidden_layers))
    with tempfile.TemporaryDirectory(dir=".") as folder:
        work = Path(folder)
        if "store" in tables:
            demo = [
                replace(row, split="train")
                for begin, end in _blocks(responses)
                for row in _features(target, layers, responses[begin:end], pack=True)
            ]
            compare("demo target", demo, target.config.hidden_size, work, arguments.repeats)
            compare("8B shape, made up", made_up_rows(arguments.rows_8b), 4096, work, arguments.repeats)
        if "container" in tables:
            compare_containers(work, arguments.repeats)
        if "extract" in tables:
            compare_extraction(target, layers, responses, work, arguments.repeats)


def compare(name: str, rows: list[FeatureRow], hidden_size: int, work: Path, repeats: int) -> None:
    num_tokens = sum(len(row.input_ids) for row in rows)
    kept = sum(len(row.teachers) for row in rows)
    print(f"\n{name}: {len(rows)} rows, {num_tokens} tokens, last hidden state kept of {kept / num_tokens:.0%}\n")
    samples = work / "samples"
    samples.mkdir(exist_ok=True)
    write_s = _best(repeats, lambda: write_samples(rows, samples))
    files = sorted(samples.iterdir())
    size = sum(file.stat().st_size for file in files)
    cold_s = _best(repeats, lambda: read_samples(files), before=lambda: _drop(files))
    warm_s = _best(repeats, lambda: read_samples(files), clock=time.process_time)
    sizes = [f"| one file per sample | {size / num_tokens:.0f} | {num_tokens / write_s:.0f} | - | 0 |"]
    reads = [f"| one file per sample | - | {num_tokens / cold_s:.0f} | {num_tokens / warm_s:.0f} | the same |"]
    for encoding in ENCODINGS:
        path = work / f"{encoding}.arrow"
        meta = ShardMeta(encoding, hidden_size, (1, 2, 3), "benchmark")
        write_s = _best(max(1, repeats // 2), lambda path=path, meta=meta: write_rows(path, rows, meta))
        decode_s, error = decode_rate(path, rows, repeats)
        sizes.append(
            f"| {encoding} | {path.stat().st_size / num_tokens:.0f} | {num_tokens / write_s:.0f} | "
            f"{num_tokens / decode_s:.0f} | {error:.2g} |"
        )
        for kind, read in (("as stored", read_stored), ("decoded", partial(read_epochs, rows=rows))):
            colds = []
            for _ in range(repeats):
                _drop([path])
                colds.append(read(path, num_epochs=1, clock=time.perf_counter)[0])
            warm = [read(path, num_epochs=3, clock=time.process_time) for _ in range(repeats)]
            first_s, later_s = map(min, zip(*warm, strict=True))
            ratios = " | ".join(
                f"{num_tokens / mine:.0f}, {theirs / mine:.1f} x"
                for mine, theirs in ((min(colds), cold_s), (first_s, warm_s), (later_s, warm_s))
            )
            reads.append(f"| {encoding} | {kind} | {ratios} |")
    print("| layout | bytes/token | write, tokens/s | decode, tokens per CPU second | error |\n|---|---|---|---|---|")
    print("\n".join(sizes))
    print(
        "\n| layout | rows | cold: tokens/s, against per-sample | warm, first epoch: tokens per CPU second | "
        "warm, later epochs |\n|---|---|---|---|---|"
    )
    print("\n".join(reads), flush=True)
    for file in files:
        file.unlink()


def write_samples(rows: list[FeatureRow], folder: Path) -> None:
    for index, row in enumerate(rows):
        mask = torch.zeros(len(row.input_ids), dtype=torch.int64)
        for start, end in row.spans:
            mask[start:end] = 1
        sample = {
            "input_ids": row.input_ids,
            "loss_mask": mask,
            "hidden_state": _whole_last(row)[None],
            "aux_hidden_state": row.aux.clone()[None],
        }
        with (folder / f"data_{index:06d}.ckpt").open("wb") as handle:
            torch.save(sample, handle)
            handle.flush()
            os.fsync(handle.fileno())


def _whole_last(row: FeatureRow) -> Tensor:
    """[T, H]: a file per sample keeps the last hidden state of every token."""
    last = torch.zeros(len(row.input_ids), row.teachers.shape[1], dtype=torch.bfloat16)
    last[teacher_positions(row.spans)] = row.teachers
    return last


def read_samples(files: list[Path]) -> None:
    for file in random.Random(1).sample(files, len(files)):
        sample = torch.load(file, weights_only=True)
        _touch(sample["aux_hidden_state"])
        _touch(sample["hidden_state"])


def _touch(states: Tensor) -> None:
    """Use a byte of every page, so that what is mapped counts as read only when it is in memory."""
    if states.numel():
        states.view(torch.uint8).flatten()[::4096].max()


def write_rows(path: Path, rows: list[FeatureRow], meta: ShardMeta) -> None:
    blocks = cut_blocks([len(row.input_ids) for row in rows], 8192)
    with new_shard(path, meta, [entry_of(row) for row in rows], blocks) as writer:
        for begin, end in pairwise(accumulate(blocks, initial=0)):
            writer.write_block(rows[begin:end])


def read_stored(path: Path, *, num_epochs: int, clock: Callable[[], float]) -> tuple[float, float]:
    """Like `read_epochs`, but for rows as they are stored: checked and in memory, not decoded."""
    seconds = []
    started = clock()
    with Shard(path) as shard:
        for _ in range(num_epochs):
            for block in range(len(shard.header.block_rows)):
                for row in shard.read_block(block):
                    for cell in row.cells.values():
                        cell[::4096].max(initial=0)
            seconds.append(clock() - started)
            started = clock()
    return seconds[0], statistics.mean(seconds[1:] or seconds)


def read_epochs(
    path: Path, *, rows: list[FeatureRow], num_epochs: int, clock: Callable[[], float]
) -> tuple[float, float]:
    """Seconds of the first epoch, from opening the shard to its last row, and the mean of those after it."""
    longest = max(len(row.input_ids) for row in rows)
    seconds = []
    started = clock()
    with BatchReader(
        [path], split="train", seed=1, batch_tokens=2048, max_sequence_tokens=longest, shuffle_tokens=16384
    ) as reader:
        for _ in range(num_epochs):
            left = reader.num_rows
            while left:
                batch = next(reader)
                left -= len(batch)
                for row in batch:
                    _touch(row.aux)
                    _touch(row.teachers)
            seconds.append(clock() - started)
            started = clock()
    return seconds[0], statistics.mean(seconds[1:] or seconds)


def decode_rate(path: Path, rows: list[FeatureRow], repeats: int) -> tuple[float, float]:
    """CPU seconds to decode blocks that were read, on one thread; mean relative squared error of the aux states."""
    with Shard(path) as shard:
        blocks = [shard.read_block(block) for block in range(len(shard.header.block_rows))]
        seconds = _best(repeats, lambda: [decode_rows(block) for block in blocks] and None, clock=time.process_time)
    found = [row for block in blocks for row in decode_rows(block)]
    errors = [
        ((row.aux.float() - exact.aux.float()).square().sum(-1) / exact.aux.float().square().sum(-1)).mean().item()
        for row, exact in zip(found, rows, strict=True)
    ]
    return seconds, statistics.mean(errors)


def made_up_rows(num_rows: int) -> list[FeatureRow]:
    """Student's t with 6 degrees of freedom; 16 of 4096 channels 20 times larger; 3 a thousand times at token 0."""
    generator = torch.Generator().manual_seed(1)
    sizes = torch.exp(0.4 * torch.randn(4096, generator=generator))
    large = torch.randperm(4096, generator=generator)[:16]
    sizes[large] *= 20

    def states(num_tokens: int, num_states: int) -> Tensor:
        shape = (num_tokens, num_states, 4096)
        chi = torch.zeros(shape)
        for _ in range(6):
            chi += torch.randn(shape, generator=generator).square()
        values = torch.randn(shape, generator=generator) / (chi / 6).sqrt() * sizes
        values[0, :, large[:3]] = 1000.0
        return values.bfloat16().flatten(1)

    rows = []
    for index in range(num_rows):
        length = int(torch.randint(256, 768, (), generator=generator))
        ids = torch.randint(0, 128_256, (length,), generator=generator)
        spans = ((int(0.3 * length), length),)
        aux, teachers = states(length, 3), states(length, 1)[teacher_positions(spans)]
        rows.append(FeatureRow(f"{index:032x}", "chat", "train", ids, aux, teachers, spans))
    return rows


def compare_containers(work: Path, repeats: int, num_cells: int = 24, cell_bytes: int = 5_000_000) -> None:
    """Write (with fsync) and read rates of incompressible cells, one per row, six to a block."""
    generator = torch.Generator().manual_seed(1)
    cells = [torch.randint(0, 256, (cell_bytes,), generator=generator, dtype=torch.uint8) for _ in range(num_cells)]
    schema = pa.schema([("cell", pa.large_binary())])
    batches = [
        pa.record_batch(
            [pa.array([cell.numpy().tobytes() for cell in cells[index : index + 6]], pa.large_binary())], schema=schema
        )
        for index in range(0, num_cells, 6)
    ]
    path = work / "container"

    def arrow() -> None:
        with pa.ipc.new_file(str(path), schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
        _sync(path)

    def read_arrow() -> None:
        with pa.memory_map(str(path)) as handle:
            file = pa.ipc.open_file(handle)
            for index in range(file.num_record_batches):
                for cell in file.get_batch(index).column(0):
                    cell.as_py()

    def parquet() -> None:
        with pq.ParquetWriter(
            path, schema, use_dictionary=False, compression="none", write_statistics=False, write_page_checksum=True
        ) as writer:
            for batch in batches:
                writer.write_batch(batch)
        _sync(path)

    def read_parquet() -> None:
        file = pq.ParquetFile(path, page_checksum_verification=True)
        for index in range(file.num_row_groups):
            for cell in file.read_row_group(index).column(0):
                cell.as_py()

    def safetensors() -> None:
        save_file({str(index): cell for index, cell in enumerate(cells)}, path)
        _sync(path)

    def read_safetensors() -> None:
        for cell in load_file(path).values():
            cell.clone()

    print("\n| container | write, GB/s | read, GB/s | written block by block | checksums |\n|---|---|---|---|---|")
    for name, write, read, notes in (
        ("Arrow IPC", arrow, read_arrow, "yes | no"),
        ("Parquet", parquet, read_parquet, "yes | of pages"),
        ("safetensors", safetensors, read_safetensors, "no | no"),
    ):
        gigabytes = num_cells * cell_bytes / 1e9
        written, found = _best(repeats, write), _best(repeats, read, before=lambda: _drop([path]))
        print(f"| {name} | {gigabytes / written:.2f} | {gigabytes / found:.2f} | {notes} |")


def compare_extraction(target, layers, responses, work: Path, repeats: int) -> None:  # type: ignore[no-untyped-def]
    """Wall and processor time of the stage's loop over those of the bare forwards, medians of alternating runs."""
    blocks = _blocks(responses, 2048)[:6]
    responses = responses[: blocks[-1][1]]
    num_tokens = sum(len(row["input_ids"]) for row in responses)
    print(f"\n| extraction of {num_tokens} tokens | tokens/s | wall time / bare | processor time / bare |")
    print("|---|---|---|---|")

    def bare() -> None:
        for begin, end in blocks:
            sequences = [row["input_ids"] for row in responses[begin:end]]
            positions = torch.cat([torch.arange(len(ids)) for ids in sequences])[None]
            ids = torch.tensor([[token for ids in sequences for token in ids]])
            with torch.inference_mode(), _attention_within(target, [len(ids) for ids in sequences]):
                target.forward(ids, position_ids=positions, use_cache=False)

    def stage(encoding: str) -> None:
        meta = ShardMeta(encoding, target.config.hidden_size, tuple(layers), "benchmark")  # type: ignore[arg-type]
        counts = [end - begin for begin, end in blocks]
        with new_shard(work / "extracted", meta, [_entry(row) for row in responses], counts) as writer:
            for begin, end in blocks:
                writer.write_block(list(_features(target, layers, responses[begin:end], pack=True)))

    bare()
    ratios: dict[str, list[tuple[float, float, float]]] = {encoding: [] for encoding in ENCODINGS}
    for _ in range(repeats):
        for encoding in ENCODINGS:
            (wall, cpu), (bare_wall, bare_cpu) = _timed(lambda encoding=encoding: stage(encoding)), _timed(bare)
            ratios[encoding].append((wall, wall / bare_wall, cpu / bare_cpu))
    for encoding, found in ratios.items():
        wall, over_wall, over_cpu = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"| {encoding} | {num_tokens / wall:.0f} | {over_wall:.2f} | {over_cpu:.2f} |")


def _blocks(responses: list[dict[str, list[int]]], block_tokens: int = 8192) -> list[tuple[int, int]]:
    counts = cut_blocks([len(row["input_ids"]) for row in responses], block_tokens)
    return list(pairwise(accumulate(counts, initial=0)))


def _timed(body: Callable[[], None]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    body()
    return time.perf_counter() - wall, time.process_time() - cpu


def _best(
    repeats: int,
    body: Callable[[], None],
    before: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Seconds of the fastest of several runs: other processes can only slow one down."""

    def runs() -> Iterator[float]:
        for _ in range(repeats):
            before()
            started = clock()
            body()
            yield clock() - started

    return min(runs())


def _drop(files: list[Path]) -> None:
    """Drop the files' pages from the page cache."""
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def _sync(path: Path) -> None:
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


if __name__ == "__main__":
    main()
