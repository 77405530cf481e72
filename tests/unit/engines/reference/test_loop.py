"""The engine under an event loop, whose other tasks come in between."""

import asyncio

from eyrie.engines.reference.loop import EngineLoop
from eyrie.engines.reference.sampling import SamplingParams
from eyrie.engines.target import TargetModel
from tests.unit.engines.reference.conftest import make_engine


def test_a_reader_that_is_slower_than_the_engine_gets_every_token(target: TargetModel) -> None:
    """A client that does not read holds its stream up while the engine goes on with the others."""

    async def read_slowly() -> tuple[list[int], list[int]]:
        loop = EngineLoop(make_engine(target, None, None))
        running = asyncio.create_task(loop.run())
        request = loop.submit([7, 8, 9], SamplingParams(max_new_tokens=40, ignore_eos=True))
        got: list[int] = []
        async for ids in loop.tokens(request):
            got += ids
            for _ in range(20):  # turns of the event loop: a few steps of the engine
                await asyncio.sleep(0)
        running.cancel()
        return got, request.output_ids

    got, made = asyncio.run(read_slowly())
    assert len(made) == 40
    assert got == made
