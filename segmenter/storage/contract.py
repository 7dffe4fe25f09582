"""What a store offers, whatever it lies in; and blobs, which live on as long as they are used."""

from typing import Literal, NamedTuple, Protocol

from segmenter.contract import RecordStore
from segmenter.errors import ImageTooLarge

# Each has a bound of its own where the store itself makes room: volumes push out no pictures.
Room = Literal["blobs", "records", "volume_blobs", "volume_records"]


class Bounds(NamedTuple):
    """Bytes a store takes in all, where no server bounds them, and in one item."""

    max_bytes: int
    max_item_bytes: int


class ItemTooLarge(ValueError):
    """The content is over the store's limit; whoever writes has to bound it."""


class Store(RecordStore, Protocol):
    """Expiring bytes under short keys; what was used least recently makes room, if need be.

    Every wait ends within seconds. All methods raise TransportDown, and those that write
    `ItemTooLarge`.
    """

    async def get(self, key: str, *, renew_s: float | None = None) -> bytes | None:
        """Return the content, or None when it is not there; `renew_s` gives it a new life."""
        ...

    async def touch(self, key: str, *, ttl_s: float) -> bool:
        """Give the content a new life; False when it is not there."""
        ...


def check_item(content: bytes, max_bytes: int) -> None:
    """Refuse what a store does not take.

    Raises:
        ItemTooLarge.
    """
    if len(content) > max_bytes:
        raise ItemTooLarge(f"{len(content)} bytes, the store takes {max_bytes}")


class BlobStore:
    """Bytes of uploads and files, expiring `ttl_s` seconds after their last use."""

    def __init__(self, store: Store, *, ttl_s: float) -> None:
        self._store = store
        self._ttl_s = ttl_s

    async def put(self, key: str, blob: bytes) -> None:
        """Store or replace.

        Raises:
            ImageTooLarge, TransportDown.
        """
        try:
            await self._store.put(key, blob, ttl_s=self._ttl_s)
        except ItemTooLarge as error:
            raise ImageTooLarge(str(error)) from error

    async def get(self, key: str) -> bytes | None:
        """Return the bytes and give them a new life; None when they are not there."""
        return await self._store.get(key, renew_s=self._ttl_s)

    async def touch(self, key: str) -> bool:
        """Give the bytes a new life; False when they are not there."""
        return await self._store.touch(key, ttl_s=self._ttl_s)

    async def delete(self, key: str) -> None:
        """Forget the bytes; not an error when they are gone already."""
        await self._store.delete(key)
