"""What `eyrie tune` prints."""

import pytest

from eyrie.bench.halving import serving_bands
from eyrie.params import Drafting
from eyrie.report.serving import print_plan
from eyrie.serving_plan import ServingPlan, TunedShape


def test_failed_requests_of_every_measurement_are_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    chain = Drafting(num_steps=3, topk=1, num_draft_tokens=4)
    measured = [
        TunedShape(
            concurrency=1,
            round=0,
            drafting=drafting,
            num_requests=8,
            num_errors=failed,
            tpot_ms=1.0,
            output_throughput_tok_s=rate,
            acceptance_length=None if drafting is None else 2.5,
        )
        for drafting, failed, rate in ((None, 0, 100.0), (chain, 2, 250.0))
    ]
    plan = ServingPlan(
        engine="reference",
        device="cpu",
        target="t",
        target_revision="r",
        head_digest="d",
        bands=serving_bands(measured),
        offline=[],
        measured=measured,
    )
    print_plan(plan)
    lines = [" ".join(line.replace("│", " ").split()) for line in capsys.readouterr().out.splitlines()]
    assert "1 and more 1 EAGLE-3 off 1.00x" in lines
    assert "1 1 EAGLE-3 off 100.0 0" in lines
    assert "1 1 a chain of 3 250.0 2.50 2 of 8" in lines
    assert "A shape at which more requests fail than at the baseline is never chosen." in lines
