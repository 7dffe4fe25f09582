"""Uploads: described once, decoded off the loop, gone when deleted, each for itself."""

import asyncio
import hashlib
import threading

import numpy as np
import pytest

from segmenter.contract import ImageRef, PixelValues
from segmenter.errors import BrokenImage, ImageNotFound, ImageTooLarge, MemoryBusy
from segmenter.memory_budget import WorkingMemory
from segmenter.storage.contract import BlobStore
from segmenter.storage.images import MAX_DECODES, StoredImages, Undecoded
from segmenter.storage.memory import MemoryStore
from tests.doubles import bright_square, decode_raw, encode_raw

CONTENT = encode_raw(bright_square())


class CountingDecode:
    """`decode_raw` that counts its calls and how many ran at once."""

    def __init__(self) -> None:
        self.calls = 0
        self.most_at_once = 0
        self.threads: set[int] = set()
        self._running = 0
        self._lock = threading.Lock()

    def __call__(self, content: bytes) -> Undecoded:
        found = decode_raw(content)
        return found._replace(decode=lambda: self._counted(found))

    def _counted(self, found: Undecoded):
        with self._lock:
            self.calls += 1
            self._running += 1
            self.most_at_once = max(self.most_at_once, self._running)
            self.threads.add(threading.get_ident())
        try:
            threading.Event().wait(0.01)
            return found.decode()
        finally:
            with self._lock:
                self._running -= 1


def make_images(
    decode=decode_raw, *, blobs=None, max_pixels_bytes=10_000, memory=None
) -> StoredImages:
    blobs = blobs or BlobStore(MemoryStore(max_bytes=100_000, max_item_bytes=10_000), ttl_s=60)
    memory = memory or WorkingMemory(1_000_000)
    return StoredImages(blobs, decode, max_pixels_bytes=max_pixels_bytes, memory=memory)


def test_an_upload_is_described_with_its_digest_and_found_again():
    async def scenario():
        images = make_images()
        ref = await images.put(CONTENT)
        assert ref.sha256 == hashlib.sha256(CONTENT).hexdigest()
        assert await images.ref(ref.id) == ref
        assert (await images.pixels(ref) == bright_square()).all()

    asyncio.run(scenario())


def test_the_same_upload_is_decoded_once_and_off_the_event_loop():
    decode = CountingDecode()

    async def scenario():
        images = make_images(decode)
        refs = [await images.put(CONTENT) for _ in range(3)]
        await images.pixels(refs[0])
        return {ref.id for ref in refs}, {ref.sha256 for ref in refs}

    ids, digests = asyncio.run(scenario())
    assert (len(ids), len(digests)) == (3, 1)
    assert decode.calls == 1
    assert threading.get_ident() not in decode.threads


def test_another_process_decodes_the_stored_bytes_itself():
    decode = CountingDecode()
    blobs = BlobStore(MemoryStore(max_bytes=100_000, max_item_bytes=10_000), ttl_s=60)

    async def scenario():
        ref = await make_images(blobs=blobs).put(CONTENT)
        other = make_images(decode, blobs=blobs)
        assert (await other.pixels(ref) == bright_square()).all()
        assert (await other.pixels(ref) == bright_square()).all()

    asyncio.run(scenario())
    assert decode.calls == 1


def test_only_a_few_images_are_decoded_at_once():
    decode = CountingDecode()

    async def scenario():
        images = make_images(decode)
        uploads = [encode_raw(bright_square(shade=shade)) for shade in range(100, 110)]
        await asyncio.gather(*(images.put(upload) for upload in uploads))

    asyncio.run(scenario())
    assert decode.most_at_once <= MAX_DECODES


def test_an_image_that_takes_more_memory_than_there_is_is_refused_before_it_is_decoded():
    decode = CountingDecode()

    async def scenario():
        memory = WorkingMemory(len(CONTENT) - 1)
        with pytest.raises(ImageTooLarge, match="decoding this picture takes 1 MiB"):
            await make_images(decode, memory=memory).put(CONTENT)

    asyncio.run(scenario())
    assert decode.calls == 0


def test_an_image_waits_for_the_memory_that_others_hold():
    async def scenario():
        memory = WorkingMemory(len(CONTENT), wait_s=0.05)
        images = make_images(memory=memory)
        async with memory.hold(1, what="work"):
            with pytest.raises(MemoryBusy):
                await images.put(CONTENT)
        ref = await images.put(CONTENT)
        assert (await images.pixels(ref) == bright_square()).all()
        assert memory.used_bytes == 0

    asyncio.run(scenario())


def test_bytes_that_do_not_decode_are_not_stored():
    async def scenario():
        store = MemoryStore(max_bytes=100_000, max_item_bytes=10_000)
        with pytest.raises(BrokenImage):
            await make_images(blobs=BlobStore(store, ttl_s=60)).put(b"nonsense")
        assert await store.keys("") == []

    asyncio.run(scenario())


def test_a_deleted_image_is_not_found_even_where_its_pixels_are_kept():
    async def scenario():
        blobs = BlobStore(MemoryStore(max_bytes=100_000, max_item_bytes=10_000), ttl_s=60)
        images, other = make_images(blobs=blobs), make_images(blobs=blobs)
        ref = await images.put(CONTENT)
        await other.pixels(ref)
        await images.delete(ref)
        for store in (images, other):
            with pytest.raises(ImageNotFound):
                await store.pixels(ref)
            with pytest.raises(ImageNotFound):
                await store.ref(ref.id)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "image_id",
    ["", "img_", "img_" + "0" * 64, "0" * 64, "img_" + "g" * 64, "img_../../etc/passwd"],
)
def test_an_id_of_no_image_is_not_found(image_id):
    with pytest.raises(ImageNotFound):
        asyncio.run(make_images().ref(image_id))


def test_pixels_are_shared_and_so_cannot_be_written():
    async def scenario():
        images = make_images()
        return await images.pixels(await images.put(CONTENT))

    with pytest.raises(ValueError, match="read-only"):
        asyncio.run(scenario())[0, 0, 0] = 1


def test_what_another_version_stored_is_not_found_and_can_be_erased():
    digest = hashlib.sha256(CONTENT).hexdigest()
    old = ImageRef(sha256=digest, width=16, height=16, format="raw")

    async def scenario():
        store = MemoryStore(max_bytes=100_000, max_item_bytes=10_000)
        images = make_images(blobs=BlobStore(store, ttl_s=60))
        await store.put(f"content:{digest}", CONTENT, ttl_s=60)
        await store.put(f"ref:{digest}", old.model_dump_json(exclude={"upload"}).encode(), ttl_s=60)
        for look in (lambda: images.ref(old.id), lambda: images.pixels(old)):
            with pytest.raises(ImageNotFound):
                await look()
        new = await images.put(CONTENT)
        await images.delete(old)
        assert await images.ref(new.id) == new
        await images.delete(new)
        assert await store.keys("") == []

    asyncio.run(scenario())


def test_the_values_of_a_picture_that_is_shown_as_stored_are_its_grey_levels():
    async def scenario():
        images = make_images()
        found = await images.values(await images.put(CONTENT))
        assert found.unit == "grey level"
        assert np.array_equal(found.pixels, bright_square()[:, :, 0])

    asyncio.run(scenario())


def test_values_are_read_from_the_file_where_it_stores_others():
    deep = PixelValues(np.full((16, 16), 1000, np.float32), "HU")

    async def scenario():
        images = make_images(lambda content: decode_raw(content)._replace(values=lambda: deep))
        assert await images.values(await images.put(CONTENT)) is deep

    asyncio.run(scenario())


def test_there_are_no_values_without_room_or_of_a_deleted_picture():
    async def scenario():
        memory = WorkingMemory(len(CONTENT) + 16 * 16 * 4 - 1)
        deep = make_images(
            lambda content: decode_raw(content)._replace(values=lambda: pytest.fail("no room")),
            memory=memory,
        )
        ref = await deep.put(CONTENT)
        with pytest.raises(ImageTooLarge, match="values"):
            await deep.values(ref)
        await deep.delete(ref)
        with pytest.raises(ImageNotFound):
            await deep.values(ref)

    asyncio.run(scenario())
