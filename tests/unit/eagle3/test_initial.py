"""Starting from an existing head: its weights by name, its output rows by target id."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file, save_file

from eyrie.eagle3.checkpoint import CheckpointError, save_head
from eyrie.eagle3.head import Eagle3Head
from eyrie.eagle3.initial import config_to_go_on, head_folder, start_from_head
from eyrie.eagle3.vocab import build_vocab
from tests.services.hub import COMMIT, Hub
from tests.unit.eagle3.test_checkpoint import publish
from tests.unit.eagle3.tiny import DRAFT_VOCAB, KINDS, VOCAB, tiny


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_is_taken(tmp_path: Path, kind: str) -> None:
    theirs, ours = (
        tiny(torch.float32, seed=0, kind=KINDS[kind]).head,
        tiny(torch.float32, seed=1, kind=KINDS[kind]).head,
    )
    save_head(theirs, tmp_path, model_card="")
    ours.d2t.copy_(theirs.d2t)
    ours.t2d.copy_(theirs.t2d)
    start_from_head(ours, tmp_path)
    for (name, expected), weight in zip(theirs.named_parameters(), ours.parameters(), strict=True):
        assert torch.equal(weight, expected.bfloat16().float()), name


def test_older_names_of_the_same_layers_and_settings_are_understood(tmp_path: Path) -> None:
    theirs = tiny(torch.float32, kind=KINDS["eagle3.1"]).head
    save_head(theirs, tmp_path, model_card="")
    path = tmp_path / "model.safetensors"
    older = {
        "midlayer.": "layers.0.",
        "fc_norm.0": "aux_norm_low",
        "fc_norm.1": "aux_norm_mid",
        "fc_norm.2": "aux_norm_high",
    }
    tensors = {}
    for name, tensor in load_file(path).items():
        for new, old in older.items():
            name = name.replace(new, old)
        tensors[f"model.{name}" if name.startswith("layers") else name] = tensor
    save_file(tensors, path)
    raw = json.loads((tmp_path / "config.json").read_text())
    raw["use_aux_norm"] = raw.pop("fc_norm")
    (tmp_path / "config.json").write_text(json.dumps(raw))
    ours = tiny(torch.float32, seed=1, kind=KINDS["eagle3.1"]).head
    assert config_to_go_on(ours.config, tmp_path, num_target_layers=8) == ours.config
    start_from_head(ours, tmp_path)
    assert torch.equal(ours.fc_norm[2].weight, theirs.fc_norm[2].weight.bfloat16().float())
    assert torch.equal(
        ours.midlayer.self_attn.q_proj.weight, theirs.midlayer.self_attn.q_proj.weight.bfloat16().float()
    )


def test_output_rows_go_by_target_id(tmp_path: Path) -> None:
    theirs, ours = tiny(torch.float32).head, tiny(torch.float32, seed=1).head
    save_head(theirs, tmp_path, model_card="")
    counts = torch.zeros(VOCAB, dtype=torch.int64)
    counts[: DRAFT_VOCAB - 2] = 1  # the first ids: some in the other vocabulary, some not
    ours.set_vocab(build_vocab(counts, draft_vocab_size=DRAFT_VOCAB, always=frozenset({38, 39})))
    before = ours.lm_head.weight.detach().clone()
    start_from_head(ours, tmp_path)
    shared = 0
    for row, token in enumerate(ours.to_target_ids(torch.arange(DRAFT_VOCAB)).tolist()):
        if theirs.t2d[token]:
            shared += 1
            other = theirs.to_target_ids(torch.arange(DRAFT_VOCAB)).tolist().index(token)
            assert torch.equal(ours.lm_head.weight[row], theirs.lm_head.weight[other].bfloat16().float())
        else:
            assert torch.equal(ours.lm_head.weight[row], before[row])
    assert 0 < shared < DRAFT_VOCAB


def test_a_head_of_another_kind_is_refused(tmp_path: Path) -> None:
    save_head(tiny(torch.float32).head, tmp_path, model_card="")
    with pytest.raises(CheckpointError, match=r"missing tensors \['fc_norm.0.weight'.*set train_head.num_layers"):
        start_from_head(tiny(torch.float32, kind=KINDS["eagle3.1"]).head, tmp_path)


@pytest.mark.parametrize(
    ("name", "broken", "said"),
    [
        ("fc.weight", lambda weight: weight.to(torch.int8), "fc.weight is torch.int8, expected bfloat16"),
        ("fc.weight", lambda weight: weight / 0.0, "fc.weight holds values that are no numbers"),
        ("d2t", lambda offsets: offsets + VOCAB, rf"d2t reaches target ids \d+ to \d+, outside 0 to {VOCAB - 1}"),
        ("d2t", lambda offsets: offsets.float(), r"d2t is torch\.float32 \[16\], expected whole numbers, one per row"),
        ("d2t", lambda offsets: offsets > 0, r"d2t is torch\.bool \[16\], expected whole numbers"),
        ("d2t", lambda offsets: offsets[:, None].clone(), r"d2t is torch\.int64 \[16, 1\], expected whole numbers"),
        ("d2t", lambda offsets: offsets[0].clone(), r"d2t is torch\.int64 \[\], expected whole numbers"),
        ("d2t", lambda offsets: offsets[:0].clone(), "d2t and lm_head.weight are missing or do not fit each other"),
    ],
)
def test_values_that_cannot_be_a_head_s_are_refused(
    tmp_path: Path, name: str, broken: Callable[[torch.Tensor], torch.Tensor], said: str
) -> None:
    head = tiny(torch.float32).head
    save_head(head, tmp_path, model_card="")
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    save_file({**tensors, name: broken(tensors[name])}, path)
    with pytest.raises(CheckpointError, match=said):
        start_from_head(head, tmp_path)


def test_an_output_matrix_without_rows_or_columns_is_refused(tmp_path: Path) -> None:
    head = tiny(torch.float32).head
    save_head(head, tmp_path, model_card="")
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    rows, offsets = tensors.pop("lm_head.weight"), tensors.pop("d2t")
    for wrong in ({"lm_head.weight": rows[:0].clone(), "d2t": offsets[:0].clone()}, {"lm_head.weight": rows[0, 0]}):
        save_file(tensors | wrong, path)
        with pytest.raises(CheckpointError, match=r"d2t and lm_head\.weight are missing or do not fit each other"):
            start_from_head(head, tmp_path)


@pytest.mark.parametrize(
    ("rope", "said"),
    [
        ([], r"config\.json: rope_parameters is \[\]; expected a rope_type"),
        ({"rope_type": "default", "rope_theta": "much"}, r"config\.json: rope_parameters is .* a number as rope_theta"),
        ({"rope_type": "other", "rope_theta": 1.0}, "rope_type is other, none of default, linear"),
        ({"rope_type": ["linear"], "rope_theta": 1.0}, r"config\.json: rope_type is \['linear'\], none of default"),
        ({"rope_type": "linear", "rope_theta": 1e4}, r"config\.json: rope_parameters is .*: Missing required keys"),
        ({"rope_type": "yarn", "rope_theta": 1e4, "factor": "x"}, r"config\.json: rope_parameters is .*: '<=' not"),
        ({"rope_type": "linear", "rope_theta": 1e4, "factor": 0}, r"config\.json: rope_parameters is .* no numbers"),
        ({"rope_type": "default", "rope_theta": 0}, r"config\.json: rope_parameters is .*: its frequencies are no num"),
        ({"rope_type": "default", "rope_theta": float("nan")}, r"config\.json: rope_parameters is .* are no numbers"),
    ],
)
def test_positions_that_no_head_turns_by_are_refused(tmp_path: Path, rope: object, said: str) -> None:
    head = tiny(torch.float32).head
    save_head(head, tmp_path, model_card="")
    raw = json.loads((tmp_path / "config.json").read_text()) | {"rope_parameters": rope}
    (tmp_path / "config.json").write_text(json.dumps(raw))
    with pytest.raises(ValueError, match=said):
        Eagle3Head(config_to_go_on(head.config, tmp_path, num_target_layers=8))


def test_a_folder_that_is_not_there_or_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="neither a folder here nor a hub name"):
        head_folder(str(tmp_path / "nowhere"), None)
    with pytest.raises(CheckpointError, match="no other safetensors file"):
        start_from_head(tiny(torch.float32).head, tmp_path)


def test_a_head_on_the_hub_is_fetched_at_its_commit_or_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, ours = tiny(torch.float32).head, tiny(torch.float32, seed=1).head
    save_head(theirs, tmp_path / "hub/org/head", model_card="")
    (tmp_path / "hub/org/pickled").mkdir()
    (tmp_path / "hub/org/pickled/pytorch_model.bin").write_bytes(b"")
    hub = Hub(tmp_path / "hub")
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    settings = {"ENDPOINT": hub.address, "HF_HUB_CACHE": str(tmp_path / "cache"), "HF_HUB_DISABLE_XET": True}
    settings["HUGGINGFACE_CO_URL_TEMPLATE"] = f"{hub.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    for name, value in settings.items():
        monkeypatch.setattr(huggingface_hub.constants, name, value)
    start_from_head(ours, head_folder("org/head", COMMIT))
    assert torch.equal(ours.fc.weight, theirs.fc.weight.bfloat16().float())
    with pytest.raises(CheckpointError, match=f"nothing at {COMMIT} cannot be fetched: RepositoryNotFoundError: "):
        head_folder("org/nothing", COMMIT)
    with pytest.raises(CheckpointError, match=f"org/pickled at {COMMIT} has no safetensors file; .* is a pickle"):
        head_folder("org/pickled", COMMIT)
    hub.shutdown()
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(CheckpointError, match=f"org/other at {COMMIT} cannot be fetched: ConnectError: "):
        head_folder("org/other", COMMIT)


def test_a_published_head_is_taken_too(tmp_path: Path) -> None:
    theirs = tiny(torch.float32).head
    publish(theirs, tmp_path)
    ours = tiny(torch.float32, seed=1).head
    start_from_head(ours, tmp_path)
    assert torch.equal(ours.fc.weight, theirs.fc.weight.half().float())
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    (pickled / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"pytorch_model.bin is a pickle.* Eyrie reads none"):
        start_from_head(ours, pickled)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"norm_output": True},
            "norm_output is True there, .* set train_head.norm_output",
        ),
        ({"num_attention_heads": 8, "head_dim": 4}, "num_attention_heads is 8 there"),
        ({"hidden_act": "gelu"}, r"config\.json: hidden_act is gelu; an EAGLE-3 head has silu"),
        ({"vocab_size": VOCAB + 1}, f"vocab_size is {VOCAB + 1} there, but {VOCAB} .* another target model"),
        ({"eagle_config": {}, "eagle_aux_hidden_state_layer_ids": [3, 4, 5]}, r"aux_layer_ids is \(2, 3, 4\) there"),
    ],
)
def test_a_config_that_the_weights_do_not_show_is_compared(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    head = tiny(torch.float32).head
    save_head(head, tmp_path, model_card="")
    raw = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(raw | changes))
    with pytest.raises(CheckpointError, match=said):
        config_to_go_on(head.config, tmp_path, num_target_layers=8)


def test_training_goes_on_with_the_positions_and_the_epsilon_that_the_head_has_learnt_with(tmp_path: Path) -> None:
    head = tiny(torch.float32).head
    save_head(head, tmp_path, model_card="")
    rope = {"rope_type": "default", "rope_theta": 12345.0}
    changes = {"rope_parameters": rope, "rope_theta": 12345.0, "rms_norm_eps": 0.125}
    raw = json.loads((tmp_path / "config.json").read_text()) | changes
    (tmp_path / "config.json").write_text(json.dumps(raw))
    found = config_to_go_on(head.config, tmp_path, num_target_layers=8)
    assert found == replace(head.config, rope_parameters=rope, rms_norm_eps=0.125)
    (tmp_path / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"config\.json: no such file"):
        config_to_go_on(head.config, tmp_path, num_target_layers=8)
