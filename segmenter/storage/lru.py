"""A cache bounded in bytes that forgets what was used least recently, and what is too old."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, NamedTuple, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class _Item(NamedTuple, Generic[Value]):
    value: Value
    size_bytes: int
    expires_at: float


class SizedLru(Generic[Key, Value]):
    """Mapping of keys to values of known size; for one thread or event loop.

    Args:
        max_bytes: sum of sizes; a value above it alone is not kept.
        clock: seconds, monotonic.
    """

    def __init__(self, max_bytes: int, *, clock: Callable[[], float]) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._items: OrderedDict[Key, _Item[Value]] = OrderedDict()
        self._used_bytes = 0

    @property
    def used_bytes(self) -> int:
        """Sum of the sizes of what is kept."""
        return self._used_bytes

    def put(self, key: Key, value: Value, size_bytes: int, *, ttl_s: float = float("inf")) -> None:
        """Keep or replace a value; others make room for it."""
        self.drop(key)
        if size_bytes > self._max_bytes:
            return
        self._items[key] = _Item(value, size_bytes, self._clock() + ttl_s)
        self._used_bytes += size_bytes
        self._make_room()

    def get(self, key: Key) -> Value | None:
        """Return a value and count this as a use; None when it is not there."""
        item = self._items.get(key)
        if item is None:
            return None
        if item.expires_at <= self._clock():
            self.drop(key)
            return None
        self._items.move_to_end(key)
        return item.value

    def touch(self, key: Key, *, ttl_s: float) -> bool:
        """Give a value a new life; False when it is not there."""
        if self.get(key) is None:
            return False
        self._items[key] = self._items[key]._replace(expires_at=self._clock() + ttl_s)
        return True

    def drop(self, key: Key) -> None:
        """Forget a value; nothing happens when it is not there."""
        item = self._items.pop(key, None)
        if item is not None:
            self._used_bytes -= item.size_bytes

    def __contains__(self, key: Key) -> bool:
        """Tell whether the value is there, without counting this as a use."""
        item = self._items.get(key)
        return item is not None and item.expires_at > self._clock()

    def __iter__(self) -> Iterator[Key]:
        """Go through the keys, those used least recently first."""
        return (key for key in tuple(self._items) if key in self)

    def _make_room(self) -> None:
        if self._used_bytes <= self._max_bytes:
            return
        now = self._clock()
        for key in [key for key, item in self._items.items() if item.expires_at <= now]:
            self.drop(key)
        while self._used_bytes > self._max_bytes:
            self.drop(next(iter(self._items)))
