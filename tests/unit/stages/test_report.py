"""One self-contained page that says what was measured, losses included, and the same bytes for the same inputs."""

import json
import re
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from eyrie.schemas import LoadCheck, Mismatch
from eyrie.stages import report
from tests.conftest import raw_params, tiny_params
from tests.unit.report.made_up import benchmark_documents, write_inputs

SMALL: dict[str, Any] = {"workloads": ("code",), "concurrency": (1,)}  # one workload at one concurrency draws fastest
VOID = {"meta", "link", "br", "circle", "path", "use"}


class _Page(HTMLParser):
    """Collects what a browser would fetch, headings of tables, and unclosed elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []
        self.bare_headings = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids += [values["id"] or ""] if "id" in values else []
        target = values.get("src") or values.get("href") or ""
        if tag == "a":
            self.links.append(target)
        elif tag in ("script", "img", "iframe", "object") or (target and not target.startswith(("#", "data:,"))):
            self.fetched.append(f"{tag} {target}")
        self.bare_headings += tag == "th" and "scope" not in values
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.handle_starttag(tag, attrs)
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def _write(folder: Path, *, changes: dict[str, Any] | None = None, **made_up: Any) -> str:
    params = tiny_params(folder / "no-target", **(changes or {}))
    inputs = write_inputs(folder, **made_up)
    report.run(params, **inputs, report=folder / "report.html", chart=folder / "chart.png")
    return (folder / "report.html").read_text(encoding="utf-8")


def _text(html: str) -> str:
    """What is read: no tags, no style, single spaces."""
    body = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).replace("\N{NO-BREAK SPACE}", " ").split())


def test_page_fetches_nothing_and_is_well_formed(tmp_path: Path) -> None:
    html = _write(tmp_path)
    page = _Page(html)
    assert page.fetched == []
    assert not re.search(r"@import|url\((?!#)", html)
    assert page.open == []
    assert page.bare_headings == 0
    assert len(set(page.ids)) == len(page.ids)
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert html.startswith("<!doctype html>")


def test_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = _write(tmp_path), (tmp_path / "chart.png").read_bytes()
    assert _write(tmp_path) == first
    assert (tmp_path / "chart.png").read_bytes() == second


def test_headline_figures_are_there(tmp_path: Path) -> None:
    text = _text(_write(tmp_path, **SMALL))
    assert "makes the target write 1.88× as fast: 4.09 ms per output token instead of 7.70 ms" in text
    assert "Acceptance length 3.14" in text
    assert "Lossless check 100 of 100" in text
    assert "Training prompts 1,294 to learn from; " in text


def test_head_size_is_the_share_of_the_targets_parameters(tmp_path: Path) -> None:
    assert "Head size 3.2% of the target: 868 K parameters to 27.0 M" in _text(_write(tmp_path, **SMALL))


def test_a_slower_head_is_called_slower(tmp_path: Path) -> None:
    text = _text(_write(tmp_path, gain=0.8))
    assert "the draft head makes the target slower" in text
    assert "EAGLE-3 loses here." in text
    assert "all workloads together, at concurrency 1, 2, 4" in text
    assert "as fast" not in text


def test_a_difference_within_the_spread_is_no_gain(tmp_path: Path) -> None:
    text = _text(_write(tmp_path, gain=1.05, wobble=0.4, **SMALL))
    assert "no gain can be claimed" in text
    assert "the difference lies within the spread" in text
    assert "EAGLE-3 loses here" not in text


@pytest.mark.parametrize(("repeats", "pairings"), [(2, 3), (3, 10), (5, 126)])
def test_how_often_repeats_lie_apart_by_luck_is_said(tmp_path: Path, repeats: int, pairings: int) -> None:
    """Of all places that one arm's repeats may take among those of both, the lowest and the highest."""
    assert len(list(combinations(range(2 * repeats), repeats))) == 2 * pairings
    text = _text(_write(tmp_path, repeats=repeats, **SMALL))
    assert f"{repeats} repeats of each would still lie apart by luck in one of {pairings} pairings." in text


def test_arms_that_ran_one_after_the_other_and_on_several_gpus_are_said_to(tmp_path: Path) -> None:
    changes = {"benchmark": {"sglang": raw_params()["benchmark"]["sglang"] | {"tp_size": 4}}}
    made_up = {"engine": "sglang", "device": "cuda: NVIDIA H100 80GB HBM3, 79 GiB", **SMALL}
    text = _text(_write(tmp_path, changes=changes, **made_up))
    assert "the arms ran one after the other, so that what changed in between is in no range" in text
    assert "Hardware cuda: NVIDIA H100 80GB HBM3, 79 GiB, 4 of them for each server" in text
    text = _text(_write(tmp_path, changes=changes, named_servers=["eagle3"], **made_up))
    assert "4 of them" not in text
    assert "of them for each server" not in _text(_write(tmp_path, changes=changes, **SMALL))


def test_answers_under_the_timed_load_are_held_against_the_baselines(tmp_path: Path) -> None:
    text = _text(_write(tmp_path, **SMALL))
    assert "EAGLE-3: 39 of 40 answers have the text of the baseline’s to the same request in the same load." in text
    assert "Baseline: 40 of 40 answers have the text of the first repeat." in text
    parts = "as those of the baseline part from its own"
    assert parts not in text
    parted = {arm: LoadCheck(num_answers=40, num_identical=39) for arm in ("baseline", "eagle3")}
    assert parts in _text(_write(tmp_path, load_answers=parted, **SMALL))
    text = _text(_write(tmp_path, repeats=1, **SMALL))
    assert "first repeat" not in text
    assert parts not in text


def test_how_many_requests_were_open_on_average_stands_beside_the_concurrency(tmp_path: Path) -> None:
    folder = tmp_path / "inputs"
    inputs = write_inputs(folder, workloads=("code",), concurrency=(1,))
    lines = [json.loads(line) for line in inputs["cells"].read_text().splitlines()]
    for line in lines:
        line["e2e_ms"]["mean"] = 125.0 * line["duration_s"] / 2 * 1.5
    inputs["cells"].write_text("".join(json.dumps(line) + "\n" for line in lines))
    report.run(tiny_params(tmp_path), **inputs, report=tmp_path / "report.html", chart=tmp_path / "chart.png")
    assert "requests at a time (on average over a load, which ends with fewer: 0.75 at 1)" in _text(
        (tmp_path / "report.html").read_text(encoding="utf-8")
    )


def test_a_tree_of_few_nodes_accepts_no_more_than_they_are(tmp_path: Path) -> None:
    inputs = write_inputs(tmp_path, **SMALL)
    path = inputs["metrics_dir"] / "evaluate_head.json"
    for steps, topk, tokens, most in ((4, 1, 5, 5), (5, 4, 4, 4), (3, 4, 16, 4)):
        shape = {"num_steps": steps, "topk": topk, "num_draft_tokens": tokens}
        path.write_text(json.dumps(json.loads(path.read_text()) | shape))
        report.run(tiny_params(tmp_path), **inputs, report=tmp_path / "report.html", chart=tmp_path / "chart.png")
        assert f"{most} is the most here." in _text((tmp_path / "report.html").read_text(encoding="utf-8"))


def test_a_single_repeat_is_said_to_have_no_spread(tmp_path: Path) -> None:
    text = _text(_write(tmp_path, repeats=1, **SMALL))
    assert "Measured once, so its spread is not known." in text
    assert "faster, once" in text
    assert "beyond the spread" not in text


def test_mismatches_are_shown_as_a_diff_and_large_margins_called_a_defect(tmp_path: Path) -> None:
    texts = {"shared_text": "the cat sat", "baseline_text": " on a mat", "eagle3_text": " in <a> box"}
    mismatches = [
        Mismatch(prompt_id="tie0", workload="code", position=41, baseline_margin=0.0002, near_tie=True, **texts),
        Mismatch(prompt_id="bug0", workload="chat", position=7, baseline_margin=0.41, near_tie=False, **texts),
        Mismatch(prompt_id="far0", workload="chat", position=7, baseline_margin=None, near_tie=False, **texts),
    ]
    html = _write(tmp_path, mismatches=mismatches, **SMALL)
    text = _text(html)
    assert "on 97 of the 100 prompts" in text
    assert "tie0 code 41 0.0002 near tie" in text
    assert "bug0 chat 7 0.41 more than rounding" in text
    assert "far0 chat 7 not known more than rounding" in text
    assert "The other 2 cannot be put down to rounding" in text
    assert "…the cat sat<del> on a mat</del><ins> in &lt;a&gt; box</ins>…" in html


def test_stand_ins_are_named_in_every_table_that_names_their_workload(tmp_path: Path) -> None:
    text = _text(_write(tmp_path, workloads=("chat", "code"), stand_ins=["code"]))
    assert "By time per output token, by requests at a time Workload 1 2 4 chat" in text
    assert text.count("code (stand-in)") >= 3  # both maps, and what the load was made of
    assert "Code (stand-in)" in text  # the heading of its own figures
    assert "chat (stand-in)" not in text


def test_what_was_not_measured_is_said_with_its_reason(tmp_path: Path) -> None:
    text = _text(_write(tmp_path, left_out={"long_context": "3 prompts need at least 9,120 tokens"}, **SMALL))
    assert "Not measured, or not whole: long context: 3 prompts need at least 9,120 tokens" in text


def test_answers_that_a_source_brought_are_not_called_the_targets(tmp_path: Path) -> None:
    inputs = write_inputs(tmp_path, **SMALL)
    metrics = inputs["metrics_dir"] / "generate_responses.json"
    document = json.loads(metrics.read_text())
    for given, beginning in (
        ({}, "The target answered 1,380 conversations with "),
        ({"given": 200}, "1,380 conversations have answers, the target’s own or those of their source, of "),
    ):
        finish_reasons = document["finish_reasons"] | given
        metrics.write_text(json.dumps(document | {"finish_reasons": finish_reasons}))
        report.run(tiny_params(tmp_path), **inputs, report=tmp_path / "report.html", chart=tmp_path / "chart.png")
        assert beginning in _text((tmp_path / "report.html").read_text(encoding="utf-8"))


def test_a_workload_that_is_compared_at_some_concurrencies_keeps_its_columns(tmp_path: Path) -> None:
    _, whole = benchmark_documents(workloads=("chat", "code"))
    compared = [item for item in whole.comparisons if (item.workload, item.concurrency) != ("code", 2)]
    text = _text(_write(tmp_path, workloads=("chat", "code"), comparisons=compared))
    rows = re.findall(r"code((?: (?:–|(?:≈ )?[\d.]+×)){3}) all", text)
    assert [row.split()[1] for row in rows] == ["–", "–"], text


def test_a_later_first_token_is_called_so(tmp_path: Path) -> None:
    later = "The first token comes later with EAGLE-3 at concurrency 1: 21.0 → 27.3 ms"
    assert later in _text(_write(tmp_path / "a", first_token=1.3, **SMALL))
    assert "The first token does not come later" in _text(_write(tmp_path / "b", first_token=1.0, **SMALL))


def test_ablations_and_cost_are_shown_when_there_are_some(tmp_path: Path) -> None:
    price = {"report": {"gpu_hour_price": 3.6, "currency": "EUR"}}
    html = _write(tmp_path / "a", arms=("baseline", "eagle3", "chain", "tree"), changes=price, **SMALL)
    text = _text(html)
    assert 'id="ablation-' in html
    assert "tree: a tree of 15 drafts, 5 deep, top-k 4." in text
    assert "Cost of a million output tokens" in text
    assert re.search(r"1 8\.1\d EUR 4\.3\d EUR -47 %", text)
    plain = _write(tmp_path / "b", **SMALL)
    assert 'id="ablation-' not in plain
    assert "Cost of a million" not in plain


def test_one_workload_at_one_concurrency_is_not_charted_twice(tmp_path: Path) -> None:
    html = _write(tmp_path, **SMALL)
    assert "by workload</h3>" not in html
    assert html.count('<svg viewBox="0 0 330') == 4  # three of the pooled arms, one of drafts by position
    assert _write(tmp_path).count('<svg viewBox="0 0 165') == 10


def test_sampled_evaluation_claims_no_lossless_check(tmp_path: Path) -> None:
    inputs = write_inputs(tmp_path, **SMALL)
    path = inputs["metrics_dir"] / "evaluate_head.json"
    path.write_text(path.read_text().replace('"temperature": 0.0', '"temperature": 0.7'))
    report.run(tiny_params(tmp_path / "no"), **inputs, report=tmp_path / "r.html", chart=tmp_path / "c.png")
    text = _text((tmp_path / "r.html").read_text())
    assert "Not checked: the evaluation sampled at temperature 0.7." in text
    assert "token for token, on all" not in text


def test_strings_from_the_data_are_escaped(tmp_path: Path) -> None:
    inputs = write_inputs(tmp_path, **SMALL)
    hostile = "</pre><script>alert(1)</script>"
    inputs["data_card"].write_text(hostile)
    for name, old in (("select_prompts", "templates"), ("benchmark", "cpu: Intel")):
        path = inputs["metrics_dir"] / f"{name}.json"
        path.write_text(path.read_text().replace(old, hostile))
    params = tiny_params(tmp_path / "no", report={"title": f"A {hostile} $x"})
    report.run(params, **inputs, report=tmp_path / "r.html", chart=tmp_path / "c.png")
    html = (tmp_path / "r.html").read_text()
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 5


def test_a_failing_input_leaves_no_output(tmp_path: Path) -> None:
    inputs = write_inputs(tmp_path, **SMALL)
    (inputs["metrics_dir"] / "benchmark.json").unlink()
    with pytest.raises(ValueError, match=r"benchmark\.json: no such file"):
        report.run(tiny_params(tmp_path / "no"), **inputs, report=tmp_path / "r.html", chart=tmp_path / "c.png")
    assert not (tmp_path / "r.html").exists()
    assert not (tmp_path / "c.png").exists()


def test_the_hardware_of_named_servers_is_not_made_up(tmp_path: Path) -> None:
    here = _text(_write(tmp_path, **SMALL))
    assert "all arms on the same machine, driven in turns" in here
    assert "ran already" not in here
    there = _text(_write(tmp_path, **SMALL, named_servers=["baseline", "eagle3"]))
    assert "the servers of Baseline and EAGLE-3 ran already and were named" in there
    assert "on the same machine" not in there
