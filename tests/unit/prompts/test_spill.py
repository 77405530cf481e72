from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from eyrie.prompts.spill import Spill


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=30))
def test_records_come_back_by_number_while_more_are_written(records: list[bytes]) -> None:
    with TemporaryDirectory() as folder, Spill(Path(folder) / "spill") as spill:
        for number, record in enumerate(records):
            assert spill.append(record) == number
            assert spill[number // 2] == records[number // 2]
        assert [spill[number] for number in range(len(spill))] == records
