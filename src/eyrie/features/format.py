"""What stands in front of a feature shard: what its states are, which rows it has, and how they lie in blocks.

A shard is an Arrow IPC file. The metadata of its schema says, before any row is read, what it holds: `eyrie` is the
JSON of a `ShardHeader`, `eyrie.checksum` its digest. Each record batch is a block of whole rows, found without reading
the others:

    input_ids     large_binary  int32, the ids the target saw and produced
    aux.<plane>   large_binary  its aux states [T, 3H] as encoded by `features.encodings`
    last.<plane>  large_binary  its last hidden states, only those at `teacher_positions`

and its own metadata holds `eyrie.checksum`: XXH3 of the header's digest, the block's number, and everything above.
"""

from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import xxhash
from pydantic import TypeAdapter, ValidationError

from eyrie.features import encodings
from eyrie.features.encodings import Encoding, States
from eyrie.features.rows import Spans
from eyrie.io import canonical_json

STORE_VERSION = "3"
STATES: tuple[States, ...] = ("aux", "last")
CHECKSUM = b"eyrie.checksum"


@dataclass(frozen=True)
class ShardMeta:
    """What all rows of a shard share. `target_revision` is a digest or a commit of the target's files."""

    encoding: Encoding
    hidden_size: int
    aux_layer_ids: tuple[int, ...]
    target_revision: str
    last_hidden: Literal["post_norm"] = "post_norm"  # the input of lm_head, after the final norm

    def layout(self, states: States) -> tuple[int, int, int]:
        """Bits per value, state vectors per token and hidden size of `aux` or `last`."""
        num_states = len(self.aux_layer_ids) if states == "aux" else 1
        return encodings.num_bits(self.encoding, states), num_states, self.hidden_size


@dataclass(frozen=True)
class RowEntry:
    """A row of the index: all that planning needs to know of it."""

    prompt_id: str
    workload: str
    split: str
    num_tokens: int
    spans: Spans


@dataclass(frozen=True)
class ShardHeader:
    store_version: str
    meta: ShardMeta
    rows: tuple[RowEntry, ...]
    block_rows: tuple[int, ...]  # number of rows of each block


_HEADER = TypeAdapter(ShardHeader)


def schema_of(meta: ShardMeta) -> pa.Schema:
    """The columns of a shard, without its header."""
    planes = [f"{states}.{plane}" for states in STATES for plane in encodings.planes_of(*meta.layout(states))]
    return pa.schema([pa.field(name, pa.large_binary(), nullable=False) for name in ("input_ids", *planes)])


def schema_with(header: ShardHeader) -> pa.Schema:
    """The columns of a shard and its header."""
    text = canonical_json(asdict(header)).encode()
    return schema_of(header.meta).with_metadata({b"eyrie": text, CHECKSUM: _digest(text)})


def read_header(schema: pa.Schema) -> ShardHeader:
    """Raises ValueError when a file with this schema is no feature shard."""
    metadata = schema.metadata or {}
    text = metadata.get(b"eyrie", b"")
    if _digest(text) != metadata.get(CHECKSUM):
        raise ValueError("its header does not match its checksum")
    try:
        header = _HEADER.validate_json(text)
    except ValidationError as error:
        raise ValueError(f"header: {error.errors()[0]['msg']}") from None
    if header.store_version != STORE_VERSION:
        raise ValueError(f"it is of store version {header.store_version}; run extract_features again")
    if not schema.equals(schema_of(header.meta)):
        raise ValueError("its columns are not those that its header says; run extract_features again")
    return header


def block_checksum(schema: pa.Schema, block: int, batch: pa.RecordBatch) -> bytes:
    """Of block number `block` of the shard with this schema. A block moved from another place or shard differs."""
    hasher = xxhash.xxh3_128(schema.metadata[CHECKSUM] + block.to_bytes(8, "little"))
    for column in batch.columns:
        _, offsets, values = column.buffers()
        last = np.frombuffer(offsets, np.int64, len(column) + 1)[-1]
        hasher.update(offsets.slice(0, 8 * (len(column) + 1)))
        if last:  # an empty column may have no values at all
            hasher.update(values.slice(0, int(last)))
    return hasher.hexdigest().encode()


def _digest(text: bytes) -> bytes:
    return xxhash.xxh3_128_hexdigest(text).encode()
