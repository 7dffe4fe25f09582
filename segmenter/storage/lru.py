"""A cache bounded in bytes that forgets what was used least recently, and what is too old."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterator
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
        held: keys of what makes no room; asked when room is needed.
    """

    def __init__(
        self,
        max_bytes: int,
        *,
        clock: Callable[[], float],
        held: Callable[[], Collection[Key]] = frozenset,
    ) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._held = held
        self._items: OrderedDict[Key, _Item[Value]] = OrderedDict()
        self._used_bytes = 0

    @property
    def used_bytes(self) -> int:
        """Sum of the sizes of what is kept."""
        return self._used_bytes

    def put(self, key: Key, value: Value, size_bytes: int, *, ttl_s: float = float("inf")) -> bool:
        """Keep or replace a value, for which others make room; False if they cannot."""
        there = self._items.get(key)
        more_bytes = size_bytes if there is None else size_bytes - there.size_bytes
        if not self._make_room(more_bytes, but=key):
            return False
        self.drop(key)
        self._items[key] = _Item(value, size_bytes, self._clock() + ttl_s)
        self._used_bytes += size_bytes
        return True

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
        """Let a value live so long, or as long as before; False when it is not there."""
        if self.get(key) is None:
            return False
        expires_at = max(self._items[key].expires_at, self._clock() + ttl_s)
        self._items[key] = self._items[key]._replace(expires_at=expires_at)
        return True

    def left_s(self, key: Key) -> float:
        """Return how long a value still lives; 0 when it is not there."""
        item = self._items.get(key)
        return 0.0 if item is None else max(0.0, item.expires_at - self._clock())

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

    def _make_room(self, more_bytes: int, *, but: Key) -> bool:
        """Drop what has expired, then what was used least recently; nothing if it is too little."""
        over_bytes = self._used_bytes + more_bytes - self._max_bytes
        if over_bytes <= 0:
            return True
        now, held = self._clock(), self._held()
        free = [(key, item) for key, item in self._items.items() if key != but and key not in held]
        if sum(item.size_bytes for _, item in free) < over_bytes:
            return False
        for key, item in sorted(free, key=lambda one: one[1].expires_at > now):
            if item.expires_at > now and self._used_bytes + more_bytes <= self._max_bytes:
                break
            self.drop(key)
        return True
