import pytest

from eyrie.engines.servers import ServerError
from eyrie.engines.sglang_answer import AbortedError, answer_ids

ADDRESS = "http://127.0.0.1:30000"


def answer(ids: list[int], **reason: object) -> dict[str, object]:
    return {"output_ids": ids, "meta_info": {"finish_reason": reason}}


def test_a_stop_token_that_the_server_left_out_is_put_back_once() -> None:
    assert answer_ids(answer([5, 6], type="stop", matched=2), ADDRESS) == [5, 6, 2]
    assert answer_ids(answer([5, 6, 2], type="stop", matched=2), ADDRESS) == [5, 6, 2]
    assert answer_ids(answer([5, 6], type="length", length=2), ADDRESS) == [5, 6]


def test_an_aborted_request_is_no_answer() -> None:
    with pytest.raises(AbortedError, match=f"aborted request from {ADDRESS}"):
        answer_ids(answer([5], type="abort"), ADDRESS)


def test_another_servers_document_is_refused_by_address() -> None:
    with pytest.raises(ServerError, match=f"{ADDRESS}/generate did not answer as SGLang does"):
        answer_ids({"choices": []}, ADDRESS)


@pytest.mark.parametrize("token", [-1, 1 << 31])
def test_what_is_no_token_is_no_answer(token: int) -> None:
    with pytest.raises(ServerError, match=f"{ADDRESS}/generate did not answer as SGLang does"):
        answer_ids(answer([5, token], type="length"), ADDRESS)


def test_an_answer_without_a_token_is_refused_before_it_is_kept() -> None:
    with pytest.raises(ServerError, match=f"{ADDRESS}/generate gave an answer without a token"):
        answer_ids(answer([], type="stop", matched="NaN happened"), ADDRESS)
