"""What a store offers, whatever it lies in; and blobs, which live on as long as they are used."""

from typing import Literal, NamedTuple, Protocol

from segmenter.contract import Hold, RecordStore
from segmenter.errors import ImageTooLarge, StoreFull

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
    `ItemTooLarge`; `StoreFull` where all the room is held.
    """

    async def put(self, key: str, record: bytes, *, ttl_s: float, hold: Hold | None = None) -> None:
        """Store or replace; see `touch` for `hold`."""
        ...

    async def get(self, key: str, *, renew_s: float | None = None) -> bytes | None:
        """Return the content, or None when it is not there; `renew_s` as `touch` does."""
        ...

    async def touch(self, *keys: str, ttl_s: float, hold: Hold | None = None) -> bool:
        """Count this as a use, after which the contents live so long, or as long as before.

        Args:
            keys: of contents that are used together.
            ttl_s: seconds.
            hold: as long as it lasts the contents live and make no room for others.

        Returns:
            Whether all of them are there; if not, nothing is held.
        """
        ...

    async def release(self, holder: str) -> None:
        """Let go all that one holds; not an error when it holds nothing."""
        ...

    async def swap(self, key: str, old: bytes, new: bytes | None, *, ttl_s: float) -> bool:
        """Replace a record, or delete it for None, if it is `old`; all in one step.

        A command may be repeated after its answer was lost, so `new` counts as well.

        Returns:
            Whether the record is `new`, or gone for None.
        """
        ...


def check_item(content: bytes, max_bytes: int) -> None:
    """Refuse what a store does not take.

    Raises:
        ItemTooLarge.
    """
    if len(content) > max_bytes:
        raise ItemTooLarge(f"{len(content)} bytes, the store takes {max_bytes}")


def no_room(max_bytes: int) -> StoreFull:
    """Return the error for a store in which all is held that could make room."""
    return StoreFull(f"what is in use takes all of the store's {max_bytes} bytes")


class BlobStore:
    """Bytes of uploads and files, expiring `ttl_s` seconds after their last use.

    Attributes:
        ttl_s: their life.
    """

    def __init__(self, store: Store, *, ttl_s: float) -> None:
        self._store = store
        self.ttl_s = ttl_s

    async def put(self, key: str, blob: bytes, *, hold: Hold | None = None) -> None:
        """Store or replace.

        Raises:
            ImageTooLarge, StoreFull, TransportDown.
        """
        try:
            await self._store.put(key, blob, ttl_s=self.ttl_s, hold=hold)
        except ItemTooLarge as error:
            raise ImageTooLarge(str(error)) from error

    async def get(self, key: str) -> bytes | None:
        """Return the bytes and give them a new life; None when they are not there."""
        return await self._store.get(key, renew_s=self.ttl_s)

    async def look(self, key: str) -> bytes | None:
        """Return the bytes without using them; None when they are not there."""
        return await self._store.get(key)

    async def touch(self, *keys: str, hold: Hold | None = None) -> bool:
        """Give all these bytes a new life; False when any is not there."""
        return await self._store.touch(*keys, ttl_s=self.ttl_s, hold=hold)

    async def release(self, holder: str) -> None:
        """Let go all that one holds."""
        await self._store.release(holder)

    async def swap(self, key: str, old: bytes, new: bytes | None) -> bool:
        """See `Store.swap`."""
        return await self._store.swap(key, old, new, ttl_s=self.ttl_s)

    async def delete(self, key: str) -> None:
        """Forget the bytes; not an error when they are gone already."""
        await self._store.delete(key)
