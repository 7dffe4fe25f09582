"""Uploaded images: the bytes as they came, under their digest, with their description beside.

Shared: one `StoredImages` by all requests or jobs of one event loop. Decoding leaves the loop, at
most `MAX_DECODES` at once. Guaranteed: nothing is stored that did not decode; a deleted or expired
image is gone for every process, although one may hold its pixels: every use asks the store first.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable

from pydantic import ValidationError

from segmenter.contract import ImageRef, RgbImage
from segmenter.errors import ImageNotFound
from segmenter.storage.contract import BlobStore
from segmenter.storage.lru import SizedLru

# Reads bytes into their description and uint8 pixels, shape (H, W, 3); raises the input errors.
Decode = Callable[[bytes], tuple[ImageRef, RgbImage]]

# One decode of the largest image takes about 0.5 GB for a moment; two keep two cores busy.
MAX_DECODES = 2
_ID_PREFIX = "img_"


class StoredImages:
    """`segmenter.contract.ImageStore` over a blob store.

    Args:
        max_pixels_bytes: decoded images kept in this process.
    """

    def __init__(self, blobs: BlobStore, decode: Decode, *, max_pixels_bytes: int) -> None:
        self._blobs = blobs
        self._decode = decode
        self._pixels: SizedLru[str, RgbImage] = SizedLru(max_pixels_bytes, clock=time.monotonic)
        self._decodes = asyncio.Semaphore(MAX_DECODES)

    async def put(self, content: bytes) -> ImageRef:
        """See `segmenter.contract.ImageStore`."""
        sha256 = await asyncio.to_thread(_digest, content)
        known = await self._find(sha256)
        if known is not None:
            return known
        ref, pixels = await self._read(content)
        await self._blobs.put(_content_key(sha256), content)
        # Last, because a description says that the content is there.
        await self._blobs.put(_ref_key(sha256), ref.model_dump_json().encode())
        self._keep(sha256, pixels)
        return ref

    async def ref(self, image_id: str) -> ImageRef:
        """See `segmenter.contract.ImageStore`."""
        sha256 = image_id.removeprefix(_ID_PREFIX)
        known = await self._find(sha256) if _is_digest(sha256) else None
        if known is None or not image_id.startswith(_ID_PREFIX):
            raise _not_found(image_id)
        return known

    async def pixels(self, ref: ImageRef) -> RgbImage:
        """See `segmenter.contract.ImageStore`."""
        kept = self._pixels.get(ref.sha256)
        if kept is not None and await self._blobs.touch(_content_key(ref.sha256)):
            return kept
        content = await self._blobs.get(_content_key(ref.sha256))
        if content is None:
            self._pixels.drop(ref.sha256)
            raise _not_found(ref.id)
        _, pixels = await self._read(content)
        self._keep(ref.sha256, pixels)
        return pixels

    async def delete(self, ref: ImageRef) -> None:
        """See `segmenter.contract.ImageStore`."""
        self._pixels.drop(ref.sha256)
        await self._blobs.delete(_ref_key(ref.sha256))
        await self._blobs.delete(_content_key(ref.sha256))

    async def _find(self, sha256: str) -> ImageRef | None:
        text = await self._blobs.get(_ref_key(sha256))
        if text is None or not await self._blobs.touch(_content_key(sha256)):
            return None
        try:
            return ImageRef.model_validate_json(text)
        except ValidationError:
            # Written by another version: the next upload of these bytes replaces it.
            return None

    async def _read(self, content: bytes) -> tuple[ImageRef, RgbImage]:
        async with self._decodes:
            return await asyncio.to_thread(self._decode, content)

    def _keep(self, sha256: str, pixels: RgbImage) -> None:
        # Several requests share this array.
        pixels.setflags(write=False)
        self._pixels.put(sha256, pixels, pixels.nbytes)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _is_digest(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def _content_key(sha256: str) -> str:
    return f"content:{sha256}"


def _ref_key(sha256: str) -> str:
    return f"ref:{sha256}"


def _not_found(image_id: str) -> ImageNotFound:
    return ImageNotFound(f"image {image_id!r} is not stored here, or has expired")
