"""What training computes at step k is what the engine's drafter computes for its k-th draft on the same prefix."""

from typing import Any

import pytest
import torch
from torch import Tensor

from eyrie.eagle3.batches import Document, pack
from eyrie.eagle3.config import HeadConfig
from eyrie.eagle3.head import Eagle3Head
from eyrie.eagle3.unroll import unroll
from eyrie.engines.reference.drafter import Drafter
from eyrie.engines.reference.masks import PrefixMasks
from eyrie.engines.target import TargetModel, capture_layers
from eyrie.params import Drafting
from eyrie.tables import teacher_positions

CHAIN = 7
KINDS: dict[str, dict[str, Any]] = {
    "eagle3": {},
    "eagle3.1": {"fc_norm": True, "norm_output": True},
    "three layers": {"num_hidden_layers": 3},
    "narrower than the target": {"hidden_size": 24},
}


def random_head(target: TargetModel, kind: str) -> Eagle3Head:
    torch.manual_seed(11)
    config = HeadConfig.from_target(target.config, draft_vocab_size=120, intermediate_size=48, **KINDS[kind])
    head = Eagle3Head(config).eval().requires_grad_(False)
    for parameter in head.parameters():
        if parameter.ndim == 2:
            parameter.normal_(std=0.5)
    ids = torch.linspace(0, target.config.vocab_size - 1, 120).long()
    head.d2t.copy_(ids - torch.arange(120))
    head.t2d[ids] = True
    return head


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_a_chain_of_seven_is_drafted_as_it_was_trained(target: TargetModel, kind: str) -> None:
    head = random_head(target, kind)
    chains = []
    for seed in range(6):
        prompt = torch.randint(6, 300, (12 + 3 * seed,), generator=torch.Generator().manual_seed(seed))
        drafts, trained = drafted_and_trained(target, head, prompt)
        assert trained == drafts
        chains.append(tuple(drafts))
    assert len(set(chains)) > 3, "chains that do not depend on the prompt would say nothing"


def drafted_and_trained(target: TargetModel, head: Eagle3Head, prompt: Tensor) -> tuple[list[int], list[int]]:
    """The chain that the engine drafts after `prompt`, and the most likely drafts of training on the same row."""
    layers = head.config.aux_layer_ids
    with capture_layers(target, list(layers)) as captured:
        last = target.forward(prompt[None])[0]
        aux = torch.cat([captured[layer][0] for layer in layers], -1)
    drafting = Drafting(num_steps=CHAIN, topk=1, num_draft_tokens=CHAIN + 1)
    masks = PrefixMasks(64, 64, device=target.device, dtype=target.dtype)
    drafter = Drafter(head, target, drafting, masks, num_slots=1, num_columns=64)
    row = len(prompt) - 2  # the newest row whose next token is known
    positions = torch.arange(row + 1)[None]
    drafter.extend(0, [0], aux[None, : row + 1], prompt[None, 1:], positions, [row + 1])
    drafts = drafter.draft_chain([row + 1])[0]

    sequence = torch.cat([prompt, drafts])
    nothing = torch.zeros(CHAIN, aux.shape[1])  # states after the prompt, which no row before may see
    spans = ((5, len(sequence)),)
    teachers = torch.cat([last, nothing[:, : last.shape[1]]])[teacher_positions(spans)]
    batch = pack([Document("", sequence, torch.cat([aux, nothing]), teachers, spans)], target.device)
    place = batch.rows_R.tolist().index(row)
    states = unroll(head, target.embed_tokens.weight, batch, CHAIN)
    trained = [int(head.to_target_ids(head.logits(state[place]).argmax())) for state in states]
    return drafts.tolist(), trained
