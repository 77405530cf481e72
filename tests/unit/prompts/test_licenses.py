from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from eyrie.params import Source
from eyrie.prompts.licenses import Clearance, LicenseError, check_license
from tests.unit.prompts.test_sources import BASE

ALLOWED = ["apache-2.0", "mit"]
DENIED = ["sharegpt", "lmsys-chat"]


def check(*, denied: list[str] = DENIED, **changes: Any) -> Clearance:
    values = {**BASE, "path": "prompts.jsonl", **changes}
    if "hub" in changes:
        values |= {"path": None, "revision": "a" * 40, "hub_split": changes.get("hub_split", "train")}
    return check_license(Source.model_validate(values), allowed=ALLOWED, denied=denied)


def test_an_allowed_licence_passes() -> None:
    assert check(license="Apache-2.0") == Clearance("Apache-2.0", "")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"license": None}, "source logs: no licence is stated"),
        ({"license": "other"}, "source logs: licence 'other' names no terms; remove the source, or state in"),
        ({"license": "Unknown"}, "source logs: licence 'Unknown' names no terms"),
        ({"license": "cc-by-nc-4.0"}, "source logs: licence 'cc-by-nc-4.0' is not one of apache-2.0, mit"),
        ({"license": "MIT (禁止商用)"}, r"licence 'MIT \(禁止商用\)' is not one of apache-2.0, mit"),
        ({"license": "MIT+"}, r"licence 'MIT\+' is not one of apache-2.0, mit"),
        ({"license": "mit*"}, r"licence 'mit\*' is not one of apache-2.0, mit"),
        ({"license": "mit/?"}, r"licence 'mit/\?' is not one of apache-2.0, mit"),
        ({"license": "mit \N{CROSS MARK}"}, r"licence 'mit .' is not one of apache-2.0, mit"),
        ({"name": "my-ShareGPT_v3"}, "its provenance 'sharegpt' is denied"),
        ({"path": "data/lmsys_chat_1m/*.jsonl"}, "its provenance 'lmsys-chat' is denied"),
        ({"name": "ＳｈａｒｅＧＰＴ"}, "its provenance 'sharegpt' is denied"),
        ({"license_override": "  "}, "license_override needs a written reason"),
    ],
)
def test_a_source_that_may_not_be_used_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(LicenseError, match=message):
        check(**changes)


@pytest.mark.parametrize("written", ["MIT", " mit\n", "apache 2.0", "Apache_2.0", "APACHE-2.0"])
def test_case_and_what_joins_words_make_no_other_licence(written: str) -> None:
    assert check(license=written) == Clearance(written, "")


@pytest.mark.parametrize("entry", ["m\u00fcller", "mu\u0308ller", "ブログ", "ｂｌｏｇ"])
def test_an_entry_of_the_deny_list_is_found_however_its_letters_are_written(entry: str) -> None:
    with pytest.raises(LicenseError, match=f"its provenance '{entry}' is denied"):
        check(name="M\u00fcller no ブログ, a blog", denied=[entry])


def test_a_file_that_a_wildcard_matches_tells_of_its_provenance_too(tmp_path: Path) -> None:
    for name in ("ours.jsonl", "ShareGPT_V3.jsonl"):
        (tmp_path / name).touch()
    assert check(path=str(tmp_path / "o*.jsonl")) == Clearance("mit", "")
    with pytest.raises(LicenseError, match="its provenance 'sharegpt' is denied"):
        check(path=str(tmp_path / "*.jsonl"))


@pytest.mark.parametrize("pattern", ["*/train.jsonl", "share*/*.jsonl", "*/*.jsonl"])
def test_a_folder_that_a_wildcard_matches_tells_of_its_provenance_too(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "sharegpt").mkdir()
    (tmp_path / "sharegpt/train.jsonl").touch()
    with pytest.raises(LicenseError, match="its provenance 'sharegpt' is denied"):
        check(path=str(tmp_path / pattern))


def test_an_override_opens_the_gate_and_keeps_what_it_overrode() -> None:
    assert check(name="sharegpt", license=None, license_override="our own traffic") == Clearance("", "sharegpt")


def with_card(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, card: str) -> None:
    (tmp_path / "README.md").write_text(f"---\n{card}\n---\ntext")
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *_, **__: str(tmp_path / "README.md"))


def test_a_hub_dataset_has_the_licence_of_its_card(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with_card(monkeypatch, tmp_path, "license: mit")
    assert check(hub="org/set", license=None) == Clearance("mit", "")
    with pytest.raises(LicenseError, match=r"licence 'apache-2.0', but its card says 'mit'"):
        check(hub="org/set", license="apache-2.0")


def test_a_card_that_lists_one_licence_has_that_licence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with_card(monkeypatch, tmp_path, "license:\n- cc-by-nc-4.0")
    with pytest.raises(LicenseError, match=r"licence 'cc-by-nc-4.0' is not one of apache-2.0, mit"):
        check(hub="org/set", license=None)
    with pytest.raises(LicenseError, match=r"licence 'mit', but its card says 'cc-by-nc-4.0'"):
        check(hub="org/set", license="mit")


@pytest.mark.parametrize("stated", [None, "mit"])
def test_a_card_with_several_licences_is_refused_whatever_is_stated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stated: str | None
) -> None:
    with_card(monkeypatch, tmp_path, "license:\n- mit\n- cc-by-nc-4.0")
    with pytest.raises(LicenseError, match=r"its card names several licences, mit, cc-by-nc-4.0; .* license_override"):
        check(hub="org/set", license=stated)
    override = "legal says that mit holds for this part"
    assert check(hub="org/set", license=stated, license_override=override).license == (stated or "mit, cc-by-nc-4.0")


@pytest.mark.parametrize("part", [{"hub_config": "ShareGPT-100k"}, {"hub_split": "train_lmsys_chat"}])
def test_a_part_of_a_hub_dataset_tells_of_its_provenance_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, part: dict[str, str]
) -> None:
    with_card(monkeypatch, tmp_path, "license: mit")
    with pytest.raises(LicenseError, match=r"its provenance '(sharegpt|lmsys-chat)' is denied"):
        check(hub="org/set", **part)


@pytest.mark.parametrize("gate", ["extra_gated_prompt: You agree to the terms", "extra_gated_fields:\n  Name: text"])
def test_terms_beside_the_licence_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, gate: str) -> None:
    with_card(monkeypatch, tmp_path, f"license: mit\n{gate}")
    with pytest.raises(LicenseError, match="its card asks readers to agree to extra terms"):
        check(hub="org/set", license="mit")
    assert check(hub="org/set", license="mit", license_override="legal has read them") == Clearance("mit", "")


def test_an_allow_list_makes_no_licence_of_other() -> None:
    values = Source.model_validate({**BASE, "path": "prompts.jsonl", "license": "other"})
    with pytest.raises(LicenseError, match="names no terms"):
        check_license(values, allowed=["other"], denied=[])


def test_a_card_that_names_a_denied_origin_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with_card(monkeypatch, tmp_path, "license: mit\nsource_datasets:\n- someone/ShareGPT52K")
    with pytest.raises(LicenseError, match="its provenance 'sharegpt' is denied"):
        check(hub="org/set", license=None)


@pytest.mark.parametrize("card", ["language: en", "license:\n- mit\n- other", "license: other"])
def test_a_card_without_one_known_licence_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, card: str
) -> None:
    with_card(monkeypatch, tmp_path, card)
    with pytest.raises(LicenseError):
        check(hub="org/set", license=None)
