"""The cache bounded in bytes."""

from segmenter.storage.lru import SizedLru


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def make(max_bytes: int = 10) -> tuple[SizedLru[str, str], Clock]:
    clock = Clock()
    return SizedLru(max_bytes, clock=clock), clock


def kept(cache: SizedLru[str, str], keys: str) -> str:
    return "".join(key for key in keys if key in cache)


def test_what_was_used_least_recently_makes_room():
    cache, _ = make()
    for key in "abc":
        cache.put(key, key, 3)
    cache.get("a")
    cache.put("d", "d", 3)
    assert kept(cache, "abcd") == "acd"
    assert cache.used_bytes == 9


def test_asking_whether_a_value_is_there_is_no_use():
    cache, _ = make()
    for key in "abc":
        cache.put(key, key, 3)
    assert "a" in cache
    cache.put("d", "d", 3)
    assert kept(cache, "abcd") == "bcd"


def test_a_value_over_the_bound_is_not_kept_and_drives_nobody_out():
    cache, _ = make()
    cache.put("a", "a", 5)
    cache.put("b", "b", 11)
    assert kept(cache, "ab") == "a"


def test_replacing_a_value_counts_its_size_once():
    cache, _ = make()
    for size in (4, 6, 2):
        cache.put("a", "a", size)
    assert cache.used_bytes == 2


def test_what_is_too_old_goes_before_what_is_used():
    cache, clock = make()
    cache.put("a", "a", 5, ttl_s=60)
    cache.put("b", "b", 5, ttl_s=10)
    clock.now = 20
    cache.put("c", "c", 5)
    assert kept(cache, "abc") == "ac"


def test_an_expired_value_is_gone_and_gives_its_bytes_back():
    cache, clock = make()
    cache.put("a", "a", 5, ttl_s=10)
    clock.now = 10
    assert cache.get("a") is None
    assert not cache.touch("a", ttl_s=10)
    assert cache.used_bytes == 0


def test_a_touch_gives_a_new_life():
    cache, clock = make()
    cache.put("a", "a", 5, ttl_s=10)
    clock.now = 9
    assert cache.touch("a", ttl_s=10)
    clock.now = 18
    assert cache.get("a") == "a"
