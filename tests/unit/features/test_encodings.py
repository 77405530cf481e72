"""What an encoding keeps of hidden states like those of real LLMs: heavy tails, large channels, massive activations."""

import pytest
import torch
from torch import Tensor

from eyrie.features import encodings
from eyrie.features.encodings import decode, encode, num_bits, planes_of

HIDDEN = 1024
NUM_TOKENS = 96
MASSIVE = (7, 300, 801)


def hidden_states(num_states: int = 3, *, massive: bool = True) -> Tensor:
    """[T, L, H]: Student's t with 6 degrees of freedom, 1% of the channels 20 times larger, a massive first token."""
    generator = torch.Generator().manual_seed(5)
    shape = (NUM_TOKENS, num_states, HIDDEN)
    normal, chi = torch.randn((7, *shape), generator=generator).split([1, 6])
    states = normal[0] / chi.square().mean(0).sqrt()
    channels = torch.randperm(HIDDEN, generator=generator)[:10]
    states[..., channels] *= 20
    if massive:
        states[0][:, MASSIVE] = 1000.0
    return states.bfloat16()


def round_trip(states: Tensor, bits: int) -> Tensor:
    return decode(encode(states, bits), bits, *states.shape[1:]).view(states.shape)


def error_of(states: Tensor, decoded: Tensor) -> Tensor:
    """Squared error over squared size of every state vector [T, L]."""
    return (decoded.float() - states.float()).square().sum(-1) / states.float().square().sum(-1)


def plain_int4(states: Tensor) -> Tensor:
    """The textbook: a scale per group of 32, the largest magnitude is level 7."""
    groups = states.float().unflatten(-1, (-1, 32))
    scales = groups.abs().amax(-1, keepdim=True) / 7
    return ((groups / scales).round().clamp(-8, 7) * scales).flatten(-2)


def test_bf16_is_exact() -> None:
    states = hidden_states()
    assert torch.equal(round_trip(states, 16), states)


@pytest.mark.parametrize(("bits", "bound"), [(8, 1e-4), (4, 0.008)])
def test_the_error_of_every_state_is_small(bits: int, bound: float) -> None:
    states = hidden_states()
    assert error_of(states, round_trip(states, bits)).max() < bound


def test_teachers_keep_eight_bits_where_the_head_s_inputs_have_four() -> None:
    assert [(num_bits(kind, "aux"), num_bits(kind, "last")) for kind in ("bf16", "int8", "int4")] == [
        (16, 16),
        (8, 8),
        (4, 8),
    ]


def test_four_bits_lose_less_than_half_of_what_plain_rounding_loses() -> None:
    states = hidden_states()
    ours, plain = error_of(states, round_trip(states, 4))[1:].mean(), error_of(states, plain_int4(states))[1:].mean()
    assert ours < 0.5 * plain


@pytest.mark.parametrize("bits", [8, 4])
def test_massive_activations_are_exact_and_do_not_blur_their_neighbours(bits: int) -> None:
    with_massive, without = hidden_states(), hidden_states(massive=False)
    decoded = round_trip(with_massive, bits)
    assert torch.equal(decoded[0][:, MASSIVE], with_massive[0][:, MASSIVE])
    rest = torch.ones(HIDDEN, dtype=torch.bool)
    rest[list(MASSIVE)] = False
    error = (decoded[0] - with_massive[0]).float()[:, rest].square().mean()
    calm = (round_trip(without, bits)[0] - without[0]).float()[:, rest].square().mean()
    assert error < 2.0 * calm


def test_any_run_of_tokens_decodes_on_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    states = hidden_states()
    planes = encode(states, 4)
    whole = decode(planes, 4, *states.shape[1:])
    part = {name: plane[10:21] for name, plane in planes.items()}
    assert torch.equal(decode(part, 4, *states.shape[1:]), whole[10:21])
    monkeypatch.setattr(encodings, "CHUNK_VALUES", 1)
    for name, plane in encode(states, 4).items():
        assert torch.equal(plane, planes[name])


@pytest.mark.parametrize("bits", [16, 8, 4])
def test_no_tokens_are_encoded_and_decoded(bits: int) -> None:
    assert round_trip(hidden_states()[:0], bits).shape == (0, 3, HIDDEN)


@pytest.mark.parametrize("bits", [16, 8, 4])
def test_planes_have_the_sizes_they_announce(bits: int) -> None:
    states = hidden_states()
    assert {name: plane.shape[1] for name, plane in encode(states, bits).items()} == planes_of(bits, 3, HIDDEN)


def test_a_token_of_an_8b_target_takes_less_than_11_kilobytes() -> None:
    teachers = 0.7  # share of positions whose last hidden state is kept
    aux, last = planes_of(4, 3, 4096), planes_of(8, 1, 4096)
    assert sum(aux.values()) + teachers * sum(last.values()) + 4 < 10_200


@pytest.mark.parametrize("bits", [8, 4])
def test_zeros_stay_zeros_and_a_nan_is_not_hidden(bits: int) -> None:
    states = torch.zeros(2, 1, HIDDEN).bfloat16()
    assert torch.equal(round_trip(states, bits), states)
    states[1, 0, 40] = torch.nan
    decoded = round_trip(states, bits)
    assert torch.equal(decoded[0], states[0])
    assert decoded[1].isnan().any()


@pytest.mark.parametrize("channel", [0, 32767, 32768, 65535])
def test_outliers_keep_their_channel_up_to_the_widest_state(channel: int) -> None:
    states = torch.zeros(1, 1, 2**16).bfloat16()
    states[0, 0, channel] = 512.0
    assert torch.equal(round_trip(states, 4), states)


def test_a_hidden_size_without_whole_groups_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"int8 and int4 need a hidden size that is a multiple of 32 .* is 100; use bf16"
    ):
        planes_of(4, 3, 100)
