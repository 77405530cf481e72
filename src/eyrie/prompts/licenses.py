"""The licence gate: which sources may be read at all.

A source passes when its licence is on the allow-list and neither its name, its address, the files that this matches nor
its card tell of a denied provenance (answers from providers whose terms bar training competing models, or prompts
collected without the right to pass them on). A Hugging Face dataset's licence is what its card says; params may repeat
it, not contradict it. A card is only what somebody claims, which is why both lists are asked. A written override opens
the gate, and is recorded in the metrics and the data card.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from eyrie.params import Source
from eyrie.prompts.hub import read_card
from eyrie.prompts.sources import matched_paths

# What people write when they do not know; no allow-list makes terms of it.
_UNKNOWN = {"", "none", "other", "unknown", "na", "unspecified"}


class LicenseError(ValueError):
    """A source may not be used."""


class Clearance(NamedTuple):
    """What is recorded of a source that passed; "" when no licence is stated, and when no provenance is denied."""

    license: str
    provenance: str


def check_license(source: Source, *, allowed: Sequence[str], denied: Sequence[str]) -> Clearance:
    """Raises LicenseError naming the source, what is wrong and how to override, HubError for an unreadable card, or
    SourceError when no file is there."""
    card = read_card(source) if source.hub is not None else None
    claimed = card.licenses if card else []
    stated = source.license or ", ".join(claimed)
    address = [source.hub, source.hub_config, source.hub_split, source.path]
    told = [source.name, *address, *(card.source_datasets if card else [])]
    provenance = _denied_provenance([value for value in told if value is not None], denied) or _denied_provenance(
        matched_paths(source), denied
    )
    if source.license_override is not None:
        if not source.license_override.strip():
            raise LicenseError(f"source {source.name}: license_override needs a written reason")
        return Clearance(stated, provenance or "")
    remedy = "remove the source, or state in license_override why it may be used"
    if provenance is not None:
        raise LicenseError(f"source {source.name}: its provenance {provenance!r} is denied; {remedy}")
    if len(claimed) > 1:  # which of them holds for which rows, or whether one may choose, a card does not say
        raise LicenseError(f"source {source.name}: its card names several licences, {', '.join(claimed)}; {remedy}")
    if _canonical(stated) in _UNKNOWN:
        raise LicenseError(f"source {source.name}: {_nothing_stated(stated)}; {remedy}")
    if card is not None and card.extra_terms:
        raise LicenseError(f"source {source.name}: its card asks readers to agree to extra terms; {remedy}")
    if claimed and _terms(claimed[0]) != _terms(stated):
        raise LicenseError(f"source {source.name}: licence {stated!r}, but its card says {claimed[0]!r}; {remedy}")
    if _terms(stated) not in map(_terms, allowed):
        raise LicenseError(f"source {source.name}: licence {stated!r} is not one of {', '.join(allowed)}; {remedy}")
    return Clearance(stated, "")


def _nothing_stated(stated: str) -> str:
    return "no licence is stated" if not stated else f"licence {stated!r} names no terms"


def _terms(licence: str) -> str:
    """Only case and what joins words is set aside: a plus, a star or a slash may name other terms."""
    return re.sub(r"[\s._-]", "", licence.lower())


def _denied_provenance(told: Sequence[str], denied: Sequence[str]) -> str | None:
    """The first entry of the deny-list found in what is told, punctuation, case and typeface aside."""
    said = [_without_typeface(value) for value in told]
    return next((entry for entry in denied if any(_without_typeface(entry) in value for value in said)), None)


def _without_typeface(value: str) -> str:
    return _canonical(unicodedata.normalize("NFKD", value))


def _canonical(value: str) -> str:
    """Letters of every script stay."""
    return re.sub(r"[\W_]", "", value.lower())
