"""The licence gate: which sources may be read at all.

A source passes when its licence is on the allow-list and neither its name nor its address tells of a denied provenance
(answers from providers whose terms bar training competing models, or prompts collected without the right to pass them
on). A licence is only what somebody claims, which is why both lists are asked. A written override opens the gate, and
is recorded in the metrics and the data card.
"""

import re
from collections.abc import Sequence

from eyrie.params import Source


class LicenseError(ValueError):
    """A source may not be used."""


def check_license(source: Source, *, allowed: Sequence[str], denied: Sequence[str]) -> None:
    """Raises LicenseError naming the source, what is wrong and how to override."""
    if source.license_override is not None:
        if not source.license_override.strip():
            raise LicenseError(f"source {source.name}: license_override needs a written reason")
        return
    remedy = "remove the source, or state in license_override why it may be used"
    provenance = denied_provenance(source, denied)
    if provenance is not None:
        raise LicenseError(f"source {source.name}: its provenance {provenance!r} is denied; {remedy}")
    if source.license is None:
        raise LicenseError(f"source {source.name}: no licence is stated; {remedy}")
    if _canonical(source.license) not in map(_canonical, allowed):
        raise LicenseError(
            f"source {source.name}: licence {source.license!r} is not one of {', '.join(allowed)}; {remedy}"
        )


def denied_provenance(source: Source, denied: Sequence[str]) -> str | None:
    """The first entry of the deny-list found in the source's name, hub name or path, punctuation and case aside."""
    told = [_canonical(value) for value in (source.name, source.hub, source.path) if value is not None]
    return next((entry for entry in denied if any(_canonical(entry) in value for value in told)), None)


def _canonical(value: str) -> str:
    return re.sub(r"[^a-z0-9]", "", value.lower())
