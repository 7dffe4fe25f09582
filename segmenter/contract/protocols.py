"""What callers use: the segmenter and the stores."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from segmenter.contract.images import Hold, ImageRef, RgbImage
from segmenter.contract.measures import PixelValues
from segmenter.contract.prompts import SegmentRequest
from segmenter.contract.results import Capabilities, SegmentResult


class Segmenter(Protocol):
    """What callers use; `segmenter.client.QueuedSegmenter` implements it over a queue."""

    async def segment(self, request: SegmentRequest, *, timeout_s: float) -> SegmentResult:
        """Run all prompts of `request` on its image.

        Raises:
            ImageNotFound, InvalidPrompt, QueueFull, NoWorker, TransportDown, DeadlineExceeded,
            JobFailed: see `segmenter.errors`.
        """
        ...

    async def capabilities(self, *, timeout_s: float) -> Capabilities:
        """Return what the live worker's model can do; raises NoWorker when there is none."""
        ...


class ImageStore(Protocol):
    """Uploads, each under an id of its own; bounded, expiring."""

    async def put(self, content: bytes, *, hold: Hold | None = None) -> ImageRef:
        """Decode (off the event loop), check, store and describe an upload.

        Args:
            content: the file.
            hold: keeps it where it is from the start.

        Raises:
            UnsupportedImage, BrokenImage, ImageTooLarge.
            StoreFull: what others hold leaves no room.
        """
        ...

    async def ref(self, image_id: str, *, hold: Hold | None = None) -> ImageRef:
        """Return the reference of a stored image by its public id; refreshes its life.

        Args:
            image_id: public id.
            hold: until it is over or `release` it neither expires nor makes room for others.

        Raises:
            ImageNotFound.
        """
        ...

    async def pixels(self, ref: ImageRef) -> RgbImage:
        """Return the decoded image: uint8, shape (H, W, 3), RGB, upright.

        Raises:
            ImageNotFound.
        """
        ...

    async def values(self, ref: ImageRef) -> PixelValues:
        """Return what the file stores, before any window: Hounsfield units of a CT, for example.

        A picture that is shown as it is stored gives the brightness of its pixels.

        Raises:
            ImageNotFound.
            ImageTooLarge, MemoryBusy: there is no room to read them in.
        """
        ...

    async def delete(self, ref: ImageRef) -> None:
        """Forget this upload, even if it is held; not an error when it is gone already."""
        ...

    async def release(self, holder: str) -> None:
        """Let go all that one holds; not an error when it holds nothing."""
        ...


class Entry(NamedTuple):
    """A record to be stored together with others.

    Attributes:
        new: its key must be free.
    """

    key: str
    record: bytes
    ttl_s: float
    new: bool = False


class RecordStore(Protocol):
    """Small expiring records (runs, threads, image descriptions) under string keys."""

    async def put(self, key: str, record: bytes, *, ttl_s: float) -> None:
        """Store or replace."""
        ...

    async def put_new(self, key: str, record: bytes, *, ttl_s: float) -> bool:
        """Store only if the key is free; the answer says whether it was."""
        ...

    async def put_together(self, entries: Sequence[Entry]) -> str | None:
        """Store all of them, or none if the key of a new one is taken; a repetition is harmless.

        Args:
            entries: the first is a new one. If it is there as it is, all were stored before, and
                nothing changes.

        Returns:
            The key that was taken, None if all are stored.
        """
        ...

    async def get(self, key: str) -> bytes | None:
        """Return the record, or None when it is not there (never stored, expired, deleted)."""
        ...

    async def delete(self, key: str) -> None:
        """Forget the record; not an error when it is gone already."""
        ...

    async def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with a prefix, in their order."""
        ...
