"""Which prompts are measured."""

import re
from pathlib import Path
from typing import Any

import pytest

from eyrie.bench.arms import context_to_share
from eyrie.bench.workloads import Choice, benchmark_prompts, conversation_tokens
from eyrie.chat.template import ChatTemplate
from eyrie.engines.target import load_chat
from eyrie.params import Drafting, Workload
from eyrie.tables import PROMPTS, check_prompt_row, write_table
from tests.conftest import roles_template, tiny_params


def row(number: int, workload: str, split: str) -> dict[str, Any]:
    return {
        "prompt_id": f"{number:032x}",
        "source": "test",
        "workload": workload,
        "split": split,
        "system": "",
        "turns": [f"question {number}"],
        "answers": [],
    }


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    return [
        row(number, workload, split)
        for number, (workload, split) in enumerate(
            (workload, split) for workload in ("chat", "code") for split in ("train", "benchmark") for _ in range(6)
        )
    ]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    write_table(path, rows, PROMPTS, check_prompt_row)
    return path


@pytest.fixture(scope="module")
def chat(tiny_target: Path) -> ChatTemplate:
    return load_chat(tiny_params(tiny_target).target)


def choose(path: Path, chat: ChatTemplate, workloads: list[Workload], **changes: int) -> Choice:
    options = {"num_prompts": 4, "seed": 1, "output_tokens": 8, "context_length": 512, "reserved": 0} | changes
    return benchmark_prompts(path, workloads, chat=chat, **options)


def test_only_benchmark_prompts_of_the_workload_are_chosen_whatever_the_tables_order(
    tmp_path: Path, rows: list[dict[str, Any]], chat: ChatTemplate
) -> None:
    first = choose(write(tmp_path / "a", rows), chat, ["code", "chat"]).prompts
    second = choose(write(tmp_path / "b", rows[::-1]), chat, ["code", "chat"]).prompts
    assert first == second
    assert list(first) == ["code", "chat"]
    assert all(len(prompts) == 4 for prompts in first.values())
    allowed = {item["prompt_id"] for item in rows if item["split"] == "benchmark" and item["workload"] == "code"}
    assert {prompt.prompt_id for prompt in first["code"]} <= allowed
    assert choose(tmp_path / "a", chat, ["code"], seed=2).prompts["code"] != first["code"]


def test_a_workload_without_prompts_is_refused_by_name(
    tmp_path: Path, rows: list[dict[str, Any]], chat: ChatTemplate
) -> None:
    with pytest.raises(ValueError, match="no prompt of workload 'math' with split benchmark"):
        choose(write(tmp_path / "a", rows), chat, ["math"])


def test_prompts_that_outgrow_the_target_are_passed_over_and_said_to_be(
    tmp_path: Path, rows: list[dict[str, Any]], chat: ChatTemplate
) -> None:
    long = [row(number, "long_context", "benchmark") | {"turns": ["user " * 600]} for number in (90, 91)]
    mixed = [item for item in rows if item["workload"] == "code"] + long
    mixed.append(row(92, "code", "benchmark") | {"turns": ["user " * 700]})
    choice = choose(write(tmp_path / "a", mixed), chat, ["long_context", "code"], num_prompts=20)
    assert list(choice.prompts) == ["code"]
    assert len(choice.prompts["code"]) == 6
    assert re.fullmatch(
        r"2 prompts need at least \d+ tokens with their answers; the context holds 512",
        choice.left_out["long_context"],
    )
    assert choice.left_out["code"].startswith("1 prompt needs at least ")
    assert choice.longest <= 512
    with pytest.raises(ValueError, match="no workload can be measured: long_context: 2 prompts need"):
        choose(tmp_path / "a", chat, ["long_context"])


def test_prompts_that_the_template_refuses_are_passed_over_and_said_to_be(
    tmp_path: Path, rows: list[dict[str, Any]], copy_target: Path
) -> None:
    with_system = [row | {"system": "Be brief."} if row["workload"] == "code" else row for row in rows]
    path = write(tmp_path / "clean", with_system)
    template = copy_target / "chat_template.jinja"
    for condition, left in (("== 'user'", "chat"), ("== 'system'", "code")):
        template.write_text(roles_template(condition))
        choice = choose(path, load_chat(tiny_params(copy_target).target), ["code", "chat"])
        (out,) = {"code", "chat"} - {left}
        assert list(choice.prompts) == [left]
        assert choice.left_out == {out: "the target's chat template refuses 6 prompts"}
    without_any = write(tmp_path / "none", rows)
    with pytest.raises(
        ValueError, match="no workload can be measured: code: the target's chat template refuses 6 prom"
    ):
        choose(without_any, load_chat(tiny_params(copy_target).target), ["code", "chat"])


def test_later_turns_are_bounded_also_where_the_template_wants_a_system_prompt(
    chat: ChatTemplate, copy_target: Path
) -> None:
    (copy_target / "chat_template.jinja").write_text(roles_template("== 'system'"))
    strict = load_chat(tiny_params(copy_target).target)
    for template in (chat, strict):
        bound = conversation_tokens(template, "Be brief.", ["one", "two", "three"], output_tokens=1)
        messages = [{"role": "system", "content": "Be brief."}]
        for turn in ("one", "two", "three"):
            messages += [{"role": "user", "content": turn}, {"role": "assistant", "content": "a"}]
        assert len(template.tokenize(template.text(messages, asks=False))) <= bound


def test_workloads_of_stand_in_sources_are_named(
    tmp_path: Path, rows: list[dict[str, Any]], chat: ChatTemplate
) -> None:
    marked = [item | {"source": "eyrie-stand-in"} if item["workload"] == "code" else item for item in rows]
    assert choose(write(tmp_path / "a", marked), chat, ["chat", "code"]).stand_ins == ["code"]


def test_no_arm_refuses_the_longest_prompt_for_the_room_that_its_drafts_take(
    tmp_path: Path, rows: list[dict[str, Any]], chat: ChatTemplate, tiny_target: Path
) -> None:
    """SGLang refuses input + max(topk * num_steps, num_draft_tokens) + answer over its context."""
    shapes = [None, *tiny_params(tiny_target).tune.shapes]
    params = tiny_params(tiny_target, benchmark={"engine": "sglang"})
    context_length, reserved = context_to_share(params, shapes)
    long = row(90, "code", "benchmark") | {"turns": ["user " * 400]}
    table = write(tmp_path / "a", [*rows, long])
    choice = choose(table, chat, ["code"], num_prompts=20, context_length=context_length, reserved=reserved)
    prompts = [chat.prompt_ids([{"role": "user", "content": prompt.turns[0]}]) for prompt in choice.prompts["code"]]
    assert len(prompts) == 7
    for shape in shapes:
        taken = 0 if shape is None else max(shape.topk * shape.num_steps, shape.num_draft_tokens)
        assert max(map(len, prompts)) + taken + 8 <= choice.served_context <= 512
    tight = choose(table, chat, ["code"], num_prompts=20, context_length=choice.longest + 5, reserved=6)
    assert tight.left_out["code"].endswith(f"; the context holds {choice.longest + 5}, of which drafting takes 6")


def test_prompts_fit_the_context_that_sglang_is_told_to_serve(tiny_target: Path) -> None:
    shape = Drafting(num_steps=3, topk=4, num_draft_tokens=8)
    sglang = tiny_params(tiny_target).benchmark.sglang.model_copy(update={"context_length": 300}).model_dump()
    params = tiny_params(tiny_target, benchmark={"engine": "sglang", "sglang": sglang})
    assert context_to_share(params, [None, shape]) == (300, 12)
    assert context_to_share(tiny_params(tiny_target), [None, shape]) == (512, 0)
