"""Hugging Face datasets as sources: streamed rows and what the dataset's card claims, both at the pinned revision."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from eyrie.params import Origin


class HubError(ValueError):
    """A Hugging Face dataset cannot be read."""


class Card(NamedTuple):
    """`licenses` are those the card claims, often one; `source_datasets` are the datasets it says it derives from.

    `extra_terms` tells of a gate: readers had to agree to something that the licence does not say.
    """

    licenses: list[str]
    source_datasets: list[str]
    extra_terms: bool


def stream_rows(source: Origin) -> Iterator[Any]:
    """Rows in the dataset's order; nothing of the dataset is executed. Raises HubError naming the source."""
    import datasets  # 4 s, and only these sources need it

    logging.getLogger("datasets").setLevel(logging.CRITICAL + 1)  # it logs values that do not fit their type
    part = f"split {source.hub_split}"
    try:
        rows = datasets.load_dataset(
            source.hub, source.hub_config, revision=source.revision, split=source.hub_split, streaming=True
        )
    except Exception as error:  # the library raises many kinds: unknown name, revision or split, network
        raise _unreadable(source, part, error) from None
    try:
        yield from rows
    except OSError as error:
        raise _unreadable(source, part, error) from None
    except Exception as error:  # a value of another type than the card says: Arrow quotes it
        raise _unreadable(source, part, error, says="a row cannot be read") from None


def read_card(source: Origin) -> Card:
    """The claims of README.md's metadata; none when there is no README.md. Raises HubError naming the source."""
    from huggingface_hub import DatasetCard, hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    assert source.hub is not None, "only hub sources have a card"
    try:
        path = hf_hub_download(source.hub, "README.md", repo_type="dataset", revision=source.revision)
        data = DatasetCard(Path(path).read_text(encoding="utf-8"), ignore_metadata_errors=True).data
    except LocalEntryNotFoundError as error:  # also an EntryNotFoundError, but says that the hub could not be asked
        raise _unreadable(source, "its card", error) from None
    except EntryNotFoundError:
        return Card([], [], False)
    except Exception as error:  # network, access, an unreadable card
        raise _unreadable(source, "its card", error) from None
    return Card(
        _listed(data.get("license")),
        _listed(data.get("source_datasets")),
        any(data.get(key) for key in ("extra_gated_prompt", "extra_gated_fields")),
    )


def _listed(value: Any) -> list[str]:
    """Cards write one value alone or as a list of one."""
    if value is None:
        return []
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def _unreadable(source: Origin, part: str, error: Exception, *, says: str | None = None) -> HubError:
    """`says` stands in for the error's own words where these may quote a row."""
    line = says or (str(error).splitlines() or [""])[0]
    return HubError(
        f"source {source.name}: {source.hub} at {source.revision}: cannot read {part}: {type(error).__name__}: {line}"
    )
