"""Uploads of the same bytes: stored once, each for itself, gone with the last; in every store."""

import asyncio
from contextlib import suppress

import pytest

from segmenter.contract import Hold, ImageRef
from segmenter.errors import ImageNotFound, StoreFull, TransportDown
from segmenter.memory_budget import WorkingMemory
from segmenter.storage.contract import BlobStore, Bounds
from segmenter.storage.images import MAX_HOLDERS, MAX_HOLDERS_BYTES, StoredImages
from segmenter.storage.memory import OVERHEAD_BYTES, MemoryStore
from tests.doubles import bright_square, decode_raw, encode_raw

# Its bytes are found again wherever they lie.
CONTENT = encode_raw(bright_square(shade=77))
BOUNDS = Bounds(1_000_000, MAX_HOLDERS_BYTES)


def make_images(store, *, ttl_s=60.0) -> StoredImages:
    blobs, memory = BlobStore(store, ttl_s=ttl_s), WorkingMemory(1_000_000)
    return StoredImages(blobs, decode_raw, max_pixels_bytes=10_000, memory=memory)


async def contents(store) -> list[str]:
    return await store.keys("content:")


async def is_gone(images, ref) -> bool:
    try:
        await images.ref(ref.id)
    except ImageNotFound:
        return True
    return False


def test_the_bytes_are_stored_once_and_go_with_the_last_upload(with_rooms, tmp_path):
    async def scenario(open_room):
        store = open_room("blobs")
        mine, others = make_images(store), make_images(store)
        first, second = await mine.put(CONTENT), await others.put(CONTENT)
        assert first.id != second.id
        assert len(await contents(store)) == 1
        await others.delete(second)
        assert await is_gone(mine, second)
        assert (await mine.pixels(first) == bright_square(shade=77)).all()
        third = await others.put(CONTENT)
        await mine.delete(first)
        assert await is_gone(others, first)
        assert (await others.pixels(third) == bright_square(shade=77)).all()
        await mine.delete(third)
        await mine.delete(third)
        for images in (mine, others):
            with pytest.raises(ImageNotFound):
                await images.pixels(third)
        assert await store.keys("") == []
        assert not any(CONTENT[100:] in made.read_bytes() for made in tmp_path.glob("stores.db*"))

    with_rooms(scenario, BOUNDS)


def test_an_erasure_never_takes_what_another_has_just_uploaded(with_rooms):
    async def come_and_go(images):
        for _ in range(40):
            await images.delete(await images.put(CONTENT))

    async def come_and_stay(images, left):
        for _ in range(15):
            ref = await images.put(CONTENT)
            assert await images.ref(ref.id) == ref
            assert (await images.pixels(ref) == bright_square(shade=77)).all()
            left.append(ref)

    async def scenario(open_room):
        store, left = open_room("blobs"), list[ImageRef]()
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(come_and_go(make_images(store)))
                group.create_task(come_and_stay(make_images(store), left))
        images = make_images(store)
        for ref in left:
            assert await images.ref(ref.id) == ref
        await asyncio.gather(*map(images.delete, left))
        assert await contents(store) == []

    with_rooms(scenario, BOUNDS)


def test_a_picture_that_is_uploaded_very_often_is_stored_again_now_and_then():
    async def scenario():
        store = MemoryStore(**BOUNDS._asdict())
        images = make_images(store)
        refs = [await images.put(CONTENT) for _ in range(2 * MAX_HOLDERS + 1)]
        assert len(await contents(store)) == 3
        for ref in refs:
            assert await images.ref(ref.id) == ref
            await images.delete(ref)
        assert await store.keys("") == []

    asyncio.run(scenario())


def test_an_upload_that_has_expired_keeps_no_bytes_alive(with_rooms):
    async def scenario(open_room):
        store = open_room("blobs")
        images = make_images(store, ttl_s=1.5)
        first, second = await images.put(CONTENT), await images.put(CONTENT)
        for _ in range(3):
            await asyncio.sleep(0.6)
            assert await images.ref(second.id) == second
        assert await is_gone(images, first)
        await images.delete(second)
        assert await contents(store) == []

    with_rooms(scenario, BOUNDS)


def test_what_a_run_holds_does_not_expire_while_it_runs(with_rooms):
    async def scenario(open_room):
        images = make_images(open_room("blobs"), ttl_s=1.0)
        held, other = await images.put(CONTENT), await images.put(CONTENT)
        assert await images.ref(held.id, hold=Hold("run", 30.0)) == held
        # A use of somebody else in between, and one more upload, shorten nothing.
        await images.put(CONTENT)
        await images.pixels(held)
        await asyncio.sleep(1.2)
        assert (await images.pixels(held) == bright_square(shade=77)).all()
        assert await is_gone(images, other)

    with_rooms(scenario, BOUNDS)


@pytest.mark.parametrize("with_rooms", ["memory", "sqlite", "postgres"], indirect=True)
def test_a_picture_in_use_makes_no_room_for_others(with_rooms):
    async def scenario(open_room):
        images = make_images(open_room("blobs"))
        used = await images.put(CONTENT)
        await images.ref(used.id, hold=Hold("run", 60.0))
        for shade in range(100, 120):
            last = await images.put(encode_raw(bright_square(shade=shade)))
        assert (await images.pixels(used) == bright_square(shade=77)).all()
        assert await images.ref(last.id) == last
        await images.release("run")
        for shade in range(100, 120):
            await images.put(encode_raw(bright_square(shade=shade)))
        assert await is_gone(images, used)

    with_rooms(scenario, Bounds(12 * (len(CONTENT) + OVERHEAD_BYTES), MAX_HOLDERS_BYTES))


@pytest.mark.parametrize("with_rooms", ["memory", "sqlite", "postgres"], indirect=True)
def test_an_upload_that_finds_no_room_is_refused_and_breaks_nothing(with_rooms):
    async def scenario(open_room):
        images = make_images(open_room("blobs"))
        kept, refused = [], 0
        for shade in range(100, 130):
            content = encode_raw(bright_square(shade=shade))
            try:
                kept.append(await images.put(content, hold=Hold(str(shade), 60.0)))
            except StoreFull:
                refused += 1
        assert 2 <= len(kept) < 30
        for ref in kept:
            await images.pixels(ref)
        for shade in range(100, 130):
            await images.release(str(shade))
        assert await images.ref((await images.put(CONTENT)).id)
        assert refused

    with_rooms(scenario, Bounds(12 * (len(CONTENT) + OVERHEAD_BYTES), MAX_HOLDERS_BYTES))


class DyingStore(MemoryStore):
    """A store whose process ends before the n-th command that changes something."""

    def __init__(self) -> None:
        super().__init__(**BOUNDS._asdict())
        self.left = 1_000_000

    def _step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise TransportDown("the process has ended")

    async def put(self, *arguments, **named):
        self._step()
        await super().put(*arguments, **named)

    async def swap(self, *arguments, **named):
        self._step()
        return await super().swap(*arguments, **named)

    async def touch(self, *arguments, **named):
        self._step()
        return await super().touch(*arguments, **named)

    async def delete(self, key):
        self._step()
        await super().delete(key)


@pytest.mark.parametrize("steps", range(6))
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("action", ["upload", "erasure"])
def test_a_process_that_dies_on_the_way_harms_nobody_and_leaves_what_expires(steps, shared, action):
    async def scenario():
        store = DyingStore()
        images = make_images(store, ttl_s=0.3)
        others = [await images.put(CONTENT)] if shared else []
        doomed = await images.put(CONTENT) if action == "erasure" else None
        store.left = steps
        with suppress(TransportDown):
            await (images.put(CONTENT) if doomed is None else images.delete(doomed))
        store.left = 1_000_000
        after = make_images(store, ttl_s=0.3)
        others.append(await after.put(CONTENT))
        for ref in others:
            assert (await after.pixels(ref) == bright_square(shade=77)).all()
        for ref in others:
            await after.delete(ref)
            assert await is_gone(after, ref)
        await asyncio.sleep(0.35)
        assert await store.keys("") == []

    asyncio.run(scenario())
