"""Memory is handed out in order, waited for within bounds, and refused with the figure."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from segmenter.errors import ImageTooLarge, MemoryBusy
from segmenter.memory_budget import MEBIBYTE, MODEL_BYTES, Shares, WorkingMemory, share_out

MOST = Shares(0, *(300 * MEBIBYTE for _ in Shares._fields[1:]))._replace(model=MODEL_BYTES)


@pytest.mark.parametrize("budget_mib", [512, 1024, 4096, 65_536])
@pytest.mark.parametrize("inside", [True, False])
def test_shares_add_up_to_the_budget(budget_mib: int, inside: bool) -> None:
    budget = budget_mib * MEBIBYTE
    shares = share_out(
        budget, bodies_inside=True, stores_inside=inside, model_inside=inside, most=MOST
    )
    assert sum(shares) == budget
    assert shares.working > 0
    assert (shares.images > 0) is (shares.embeddings > 0) is inside


def scenario(run: Callable[[WorkingMemory], Awaitable[None]], *, wait_s: float = 5.0) -> None:
    async def within() -> None:
        memory = WorkingMemory(100 * MEBIBYTE, wait_s=wait_s)
        async with asyncio.timeout(20.0):
            await run(memory)
        assert memory.used_bytes == 0

    asyncio.run(within())


def test_what_never_fits_is_refused_with_the_figure() -> None:
    async def run(memory: WorkingMemory) -> None:
        with pytest.raises(ImageTooLarge, match=r"this picture takes 101 MiB .* has 100 MiB"):
            async with memory.hold(101 * MEBIBYTE, what="decoding this picture"):
                pass
        with pytest.raises(ImageTooLarge, match="has 50 MiB"):
            async with memory.hold(51 * MEBIBYTE, what="opening this volume", long=True):
                pass

    scenario(run)


def test_who_came_first_is_served_first_and_no_more_than_there_is_is_held() -> None:
    async def run(memory: WorkingMemory) -> None:
        order: list[int] = []

        async def work(number: int, mib: int) -> None:
            async with memory.hold(mib * MEBIBYTE, what="work"):
                assert memory.used_bytes <= memory.max_bytes
                order.append(number)
                await asyncio.sleep(0.01)

        sizes = [60, 60, 90, 10, 10, 100, 5]
        await asyncio.gather(*(work(number, mib) for number, mib in enumerate(sizes)))
        assert order == sorted(order)

    scenario(run)


def test_a_wait_ends_and_says_what_was_missing() -> None:
    async def run(memory: WorkingMemory) -> None:
        async with memory.hold(80 * MEBIBYTE, what="work"):
            with pytest.raises(MemoryBusy, match="takes 30 MiB"):
                async with memory.hold(30 * MEBIBYTE, what="work"):
                    pass
        async with memory.hold(30 * MEBIBYTE, what="work"):
            pass

    scenario(run, wait_s=0.05)


def test_long_work_leaves_half_to_the_rest() -> None:
    async def run(memory: WorkingMemory) -> None:
        async with memory.hold(40 * MEBIBYTE, what="a volume", long=True) as held:
            await held.grow(10 * MEBIBYTE)
            with pytest.raises(ImageTooLarge, match="takes 51 MiB"):
                await held.grow(1 * MEBIBYTE)
            with pytest.raises(MemoryBusy):
                async with memory.hold(10 * MEBIBYTE, what="a run", long=True):
                    pass
            async with memory.hold(50 * MEBIBYTE, what="work"):
                pass

    scenario(run, wait_s=0.05)


def test_a_waiter_that_gives_up_takes_nothing_with_it() -> None:
    async def run(memory: WorkingMemory) -> None:
        async def wait() -> None:
            async with memory.hold(90 * MEBIBYTE, what="work"):
                pass

        async with memory.hold(50 * MEBIBYTE, what="work"):
            waiting = asyncio.create_task(wait())
            await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            assert memory.used_bytes == 50 * MEBIBYTE
            async with memory.hold(50 * MEBIBYTE, what="work"):
                pass

    scenario(run)
