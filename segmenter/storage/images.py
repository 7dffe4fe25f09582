"""Uploaded images: each under an id of its own, the bytes of equal ones stored once.

``ref:UPLOAD`` describes an upload and names its content, ``content:NAME`` has the bytes as they
came, ``holders:NAME`` says which uploads share them, and ``latest:SHA256`` is a hint where a new
one of the same bytes may join. An upload is alive as long as its reference, the content and the
content's holders are there; a use renews the three at once.

Shared: one `StoredImages` by all requests or jobs of one event loop. Decoding leaves the loop, at
most `MAX_DECODES` at once. Guaranteed: nothing is stored that did not decode; a deleted or expired
upload is gone for every process, although one may hold its pixels: every use asks the store first.
Deleting one touches no other: the bytes go with the last upload of theirs. Holders only ever join,
by compare and swap, and the last to leave takes the record of the holders away by the same means;
so whoever joins at that moment fails, and stores the bytes anew under another name. A process that
dies on the way leaves at most what expires by itself.
"""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable
from typing import Annotated, NamedTuple, TypeVar

from pydantic import Field, ValidationError

from segmenter.contract import Frozen, Hold, ImageRef, PixelValues, RgbImage
from segmenter.errors import ImageNotFound, TransportDown
from segmenter.memory_budget import WorkingMemory
from segmenter.storage.contract import BlobStore
from segmenter.storage.lru import SizedLru
from segmenter.storage.luma import VALUE_BYTES, luma


class Undecoded(NamedTuple):
    """An upload whose header was read.

    Attributes:
        working_bytes: memory that decoding it takes at its peak.
        decode: returns its description and uint8 pixels, shape (H, W, 3); raises input errors.
        values: returns what the file stores, where the pixels do not show it as it is.
    """

    working_bytes: int
    decode: Callable[[], tuple[ImageRef, RgbImage]]
    values: Callable[[], PixelValues] | None = None


# Reads the header of bytes; raises the input errors.
ReadHeader = Callable[[bytes], Undecoded]

Kept = TypeVar("Kept", bound=Frozen)
Name = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

# One decode of the largest image takes about 0.5 GB for a moment; two keep two cores busy.
MAX_DECODES = 2
# The record of holders is read and written at each upload: 67 bytes each, and 2 KiB for what the
# file says of itself. A picture that is uploaded more often is stored once more for so many.
MAX_HOLDERS = 128
MAX_HOLDERS_BYTES = 67 * MAX_HOLDERS + 2048
# Whoever loses a race against another upload of the same bytes this often stores its own.
JOIN_TRIES = 8
# A loser leaves because another upload joined, and at most so many can.
LEAVE_TRIES = 2 * MAX_HOLDERS
DECODING = "decoding this picture"
READING_VALUES = "reading the values of this picture"
_ID_PREFIX = "img_"


class _Upload(Frozen):
    """What is kept of an upload beside its bytes; `content` is their name."""

    image: ImageRef
    content: Name


class _Holders(Frozen):
    """The uploads, dead ones among them, that share a content, and what is read from it."""

    image: ImageRef
    uploads: tuple[Name, ...]


class StoredImages:
    """`segmenter.contract.ImageStore` over a blob store.

    Args:
        max_pixels_bytes: decoded images kept in this process.
        memory: that decoding takes.
    """

    def __init__(
        self,
        blobs: BlobStore,
        read_header: ReadHeader,
        *,
        max_pixels_bytes: int,
        memory: WorkingMemory,
    ) -> None:
        self._blobs = blobs
        self._read_header = read_header
        self._memory = memory
        self._pixels: SizedLru[str, RgbImage] = SizedLru(max_pixels_bytes, clock=time.monotonic)
        self._decodes = asyncio.Semaphore(MAX_DECODES)

    async def put(self, content: bytes, *, hold: Hold | None = None) -> ImageRef:
        """See `segmenter.contract.ImageStore`."""
        sha256 = await asyncio.to_thread(_digest, content)
        joined = await self._join(sha256, hold)
        if joined is not None:
            return joined
        if hold is not None:
            return await self._store(sha256, content, hold)
        # Or one part could make room for another.
        own = Hold(f"upload:{secrets.token_hex(16)}", self._blobs.ttl_s)
        try:
            return await self._store(sha256, content, own)
        finally:
            await self._blobs.release(own.holder)

    async def ref(self, image_id: str, *, hold: Hold | None = None) -> ImageRef:
        """See `segmenter.contract.ImageStore`."""
        return (await self._find(image_id, hold)).image

    async def pixels(self, ref: ImageRef) -> RgbImage:
        """See `segmenter.contract.ImageStore`."""
        try:
            found = await self._find(ref.id)
        except ImageNotFound:
            self._pixels.drop(ref.sha256)
            raise
        sha256 = found.image.sha256
        kept = self._pixels.get(sha256)
        if kept is not None:
            return kept
        _, pixels = await self._read(await self._content(found, ref))
        self._keep(sha256, pixels)
        return pixels

    async def values(self, ref: ImageRef) -> PixelValues:
        """See `segmenter.contract.ImageStore`."""
        content = await self._content(await self._find(ref.id), ref)
        upload = await asyncio.to_thread(self._read_header, content)
        if upload.values is None:
            pixels = await self.pixels(ref)
            async with self._memory.hold(VALUE_BYTES * pixels.size // 3, what=READING_VALUES):
                return await asyncio.to_thread(luma, pixels)
        room = upload.working_bytes + VALUE_BYTES * ref.width * ref.height
        async with self._memory.hold(room, what=READING_VALUES), self._decodes:
            return await asyncio.to_thread(upload.values)

    async def delete(self, ref: ImageRef) -> None:
        """See `segmenter.contract.ImageStore`."""
        name = ref.id.removeprefix(_ID_PREFIX)
        upload = _parsed(_Upload, await self._blobs.look(_ref_key(name)))
        # First: who looks for the living ones does not count it any more.
        await self._blobs.delete(_ref_key(name))
        if upload is None:
            # Gone, or stored by version 0.2, under the digest of its bytes.
            await self._blobs.delete(_content_key(name))
            return
        await self._drop_unused(upload)

    async def release(self, holder: str) -> None:
        """See `segmenter.contract.ImageStore`."""
        await self._blobs.release(holder)

    async def _find(self, image_id: str, hold: Hold | None = None) -> _Upload:
        name = image_id.removeprefix(_ID_PREFIX)
        if not image_id.startswith(_ID_PREFIX) or not _is_name(name):
            raise _not_found(image_id)
        upload = _parsed(_Upload, await self._blobs.look(_ref_key(name)))
        if upload is None or not await self._blobs.touch(*_keys(name, upload.content), hold=hold):
            raise _not_found(image_id)
        return upload

    async def _content(self, found: _Upload, ref: ImageRef) -> bytes:
        content = await self._blobs.look(_content_key(found.content))
        if content is None:
            raise _not_found(ref.id)
        return content

    async def _join(self, sha256: str, hold: Hold | None) -> ImageRef | None:
        """Store an upload of bytes that are there; None if they are not, or not to be shared."""
        latest = await self._blobs.look(_latest_key(sha256))
        if latest is None:
            return None
        content, name = latest.decode("ascii"), secrets.token_hex(32)
        key, described = _holders_key(content), None
        for _ in range(JOIN_TRIES):
            record = await self._blobs.look(key)
            known = _parsed(_Holders, record)
            if record is None or known is None:
                return None
            # The answer to a swap that succeeded may have been lost.
            if name not in known.uploads:
                if len(known.uploads) >= MAX_HOLDERS:
                    return None
                # Before it joins, or it would not count as alive.
                if described is None:
                    described = _Upload(image=_named(known.image, name), content=content)
                    await self._blobs.put(_ref_key(name), _record(described))
                joined = known.model_copy(update={"uploads": (*known.uploads, name)})
                if not await self._blobs.swap(key, record, _record(joined)):
                    continue
            is_there = await self._blobs.touch(*_keys(name, content), hold=hold)
            return described.image if described is not None and is_there else None
        return None

    async def _store(self, sha256: str, content: bytes, hold: Hold) -> ImageRef:
        """Store an upload with its bytes."""
        image, pixels = await self._read(content)
        self._keep(sha256, pixels)
        name, shared = secrets.token_hex(32), secrets.token_hex(32)
        upload = _Upload(image=_named(image, name), content=shared)
        await self._blobs.put(_content_key(shared), content, hold=hold)
        # In no order: nobody is told the name before all are there.
        await asyncio.gather(
            self._blobs.put(
                _holders_key(shared), _record(_Holders(image=image, uploads=(name,))), hold=hold
            ),
            self._blobs.put(_ref_key(name), _record(upload), hold=hold),
            self._blobs.put(_latest_key(sha256), shared.encode("ascii")),
        )
        return upload.image

    async def _drop_unused(self, upload: _Upload) -> None:
        """Forget the bytes of a deleted upload, unless another that shares them is alive."""
        key, sha256 = _holders_key(upload.content), upload.image.sha256
        for _ in range(LEAVE_TRIES):
            record = await self._blobs.look(key)
            if record is None:
                break
            holders = _parsed(_Holders, record)
            if holders is not None and await self._is_any_alive(holders):
                return
            if await self._blobs.swap(key, record, None):
                break
        else:
            raise TransportDown("the image is uploaded too often to be erased; try again")
        self._pixels.drop(sha256)
        await self._blobs.swap(_latest_key(sha256), upload.content.encode("ascii"), None)
        await self._blobs.delete(_content_key(upload.content))

    async def _is_any_alive(self, holders: _Holders) -> bool:
        # The latest first: it is the one most likely alive.
        for name in reversed(holders.uploads):
            if await self._blobs.look(_ref_key(name)) is not None:
                return True
        return False

    async def _read(self, content: bytes) -> tuple[ImageRef, RgbImage]:
        upload = await asyncio.to_thread(self._read_header, content)
        async with self._memory.hold(upload.working_bytes, what=DECODING), self._decodes:
            return await asyncio.to_thread(upload.decode)

    def _keep(self, sha256: str, pixels: RgbImage) -> None:
        # Several requests share this array.
        pixels.setflags(write=False)
        self._pixels.put(sha256, pixels, pixels.nbytes)


def _named(image: ImageRef, name: str) -> ImageRef:
    return image.model_copy(update={"upload": name})


def _record(kept: Frozen) -> bytes:
    return kept.model_dump_json().encode()


def _parsed(model: type[Kept], record: bytes | None) -> Kept | None:
    try:
        return None if record is None else model.model_validate_json(record)
    except ValidationError:
        # Written by another version: it will expire.
        return None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _is_name(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def _keys(name: str, content: str) -> tuple[str, str, str]:
    return _content_key(content), _holders_key(content), _ref_key(name)


def _content_key(content: str) -> str:
    return f"content:{content}"


def _holders_key(content: str) -> str:
    return f"holders:{content}"


def _ref_key(name: str) -> str:
    return f"ref:{name}"


def _latest_key(sha256: str) -> str:
    return f"latest:{sha256}"


def _not_found(image_id: str) -> ImageNotFound:
    return ImageNotFound(f"image {image_id!r} is not stored here, or has expired")
