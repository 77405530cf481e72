"""Which stages DVC is asked for when only some outputs are here."""

from pathlib import Path

import pytest

from eyrie.lineage import doors
from eyrie.lineage.layout import STAGES
from eyrie.lineage.verdicts import State, Verdict, jobs_of
from tests.conftest import tiny_params

ALL = [*STAGES]


@pytest.fixture
def targets(tiny_target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """`dvc_targets` for given states; stages not named are current."""
    monkeypatch.chdir(tmp_path)
    params = tiny_params(tiny_target)

    def ask(states: dict[str, State], *wanted: str) -> list[str]:
        verdicts = {
            name: [Verdict(job, states.get(name, "current"), (), True, None) for job in jobs_of(params, name)]
            for name in STAGES
        }
        for path in (path for jobs in verdicts.values() for verdict in jobs for path in verdict.job.outputs.values()):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        for verdict in (verdict for jobs in verdicts.values() for verdict in jobs if verdict.state == "missing"):
            for path in verdict.job.outputs.values():
                if path.parts[0] != "reports":  # those come with git
                    path.unlink()
        monkeypatch.setattr(doors, "judge", lambda *_: verdicts)
        return doors.dvc_targets(params, wanted)

    return ask


def test_a_current_target_needs_nothing(targets) -> None:  # type: ignore[no-untyped-def]
    assert targets({}, "report") == []
    assert targets({"report": "stale"}, "train_head") == []


def test_a_missing_stage_between_stale_ones_is_run(targets) -> None:  # type: ignore[no-untyped-def]
    """A kill left `generate_responses` stale and took `train_head`'s outputs: its readers need it."""
    states: dict[str, State] = {"select_prompts": "missing", "generate_responses": "stale", "train_head": "missing"}
    assert targets(states, "report") == ALL[ALL.index("generate_responses") :]


def test_training_needs_nothing_upstream_of_features_that_are_here(targets) -> None:  # type: ignore[no-untyped-def]
    upstream: dict[str, State] = dict.fromkeys(ALL[:3], "missing")
    assert targets({**upstream, "train_head": "stale"}, "train_head") == ["train_head"]
    assert targets({**upstream, "train_head": "missing"}, "train_head") == ["train_head"]
    assert targets(upstream, "train_head") == []


def test_a_stale_stage_whose_inputs_are_not_here_brings_their_makers_in(targets) -> None:  # type: ignore[no-untyped-def]
    states: dict[str, State] = {**dict.fromkeys(ALL[:3], "missing"), "extract_features": "stale"}
    assert targets(states, "train_head") == [*ALL[:3], "build_vocab", "extract_features", "train_head"]
