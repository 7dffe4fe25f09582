"""Every kind of store, held to the same tests."""

import asyncio
import os
import signal
import sqlite3
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from segmenter.contract import Entry, Hold
from segmenter.errors import ImageTooLarge, StoreFull, TransportDown
from segmenter.storage import database
from segmenter.storage.contract import BlobStore, Bounds
from segmenter.storage.database import open_database
from segmenter.storage.memory import OVERHEAD_BYTES, MemoryStore
from segmenter.storage.sql import SqlStore

MAX_ITEM_BYTES = 1000
BOUNDS = Bounds(20_000, MAX_ITEM_BYTES)


@asynccontextmanager
async def open_sql(url):
    async with open_database(url, alone=False) as database:
        yield lambda room: SqlStore(database, room, BOUNDS)


@pytest.fixture
def with_stores(with_rooms):
    """Run a scenario with a blob store and a record store; blobs live `ttl_s`."""

    def start(scenario, ttl_s: float = 60.0):
        async def within(room):
            await scenario(BlobStore(room("blobs"), ttl_s=ttl_s), room("records"))

        with_rooms(within, BOUNDS)

    return start


def test_a_blob_comes_back_as_it_went_in(with_stores):
    async def scenario(blobs, _records):
        await blobs.put("a", b"\x00\xffbytes")
        assert await blobs.get("a") == b"\x00\xffbytes"
        assert await blobs.get("b") is None

    with_stores(scenario)


def test_a_deleted_blob_is_gone_and_deleting_again_is_no_error(with_stores):
    async def scenario(blobs, _records):
        await blobs.put("a", b"1")
        await blobs.delete("a")
        await blobs.delete("a")
        assert await blobs.get("a") is None
        assert not await blobs.touch("a")

    with_stores(scenario)


def test_a_blob_expires_some_time_after_its_last_use(with_stores):
    async def scenario(blobs, _records):
        await blobs.put("a", b"1")
        for _ in range(3):
            await asyncio.sleep(0.4)
            assert await blobs.touch("a")
        assert await blobs.get("a") == b"1"
        await asyncio.sleep(1.1)
        assert await blobs.get("a") is None

    with_stores(scenario, ttl_s=1.0)


def test_a_blob_over_the_bound_is_refused(with_stores):
    async def scenario(blobs, _records):
        with pytest.raises(ImageTooLarge, match="1001 bytes, the store takes 1000"):
            await blobs.put("a", b"x" * 1001)

    with_stores(scenario)


def test_a_record_comes_back_and_can_be_replaced(with_stores):
    async def scenario(_blobs, records):
        assert await records.get("run:1") is None
        await records.put("run:1", b"first", ttl_s=60)
        await records.put("run:1", b"second", ttl_s=60)
        assert await records.get("run:1") == b"second"

    with_stores(scenario)


def test_of_many_who_store_a_new_record_at_once_one_succeeds(with_stores):
    async def scenario(_blobs, records):
        tries = [records.put_new("key", str(n).encode(), ttl_s=60) for n in range(20)]
        stored = await asyncio.gather(*tries)
        assert sum(stored) == 1
        assert await records.get("key") == str(stored.index(True)).encode()

    with_stores(scenario)


def test_an_expired_record_is_gone_and_its_key_free(with_stores):
    async def scenario(_blobs, records):
        await records.put("key", b"1", ttl_s=0.1)
        await asyncio.sleep(0.2)
        assert await records.get("key") is None
        assert await records.put_new("key", b"2", ttl_s=60)

    with_stores(scenario)


def test_records_are_stored_together_or_not_at_all(with_stores):
    async def scenario(_blobs, records):
        def entries(owner: bytes) -> list[Entry]:
            return [
                Entry(f"job:{owner.decode()}", owner, 60.0, new=True),
                Entry("start", owner, 60.0),
                Entry("lock", owner, 60.0, new=True),
            ]

        assert await records.put_together(entries(b"a")) is None
        # What is stored already changes nothing, whatever became of it.
        await records.delete("lock")
        await records.put("start", b"later", ttl_s=60)
        assert await records.put_together(entries(b"a")) is None
        assert await records.get("start") == b"later"
        assert await records.get("lock") is None

        await records.put("lock", b"c", ttl_s=60)
        assert await records.put_together(entries(b"b")) == "lock"
        assert await records.get("job:b") is None
        assert await records.get("start") == b"later"
        await records.put("job:b", b"another", ttl_s=60)
        assert await records.put_together(entries(b"b")) == "job:b"

        await records.delete("lock")
        tries = [records.put_together(entries(str(n).encode())) for n in range(10, 20)]
        taken = await asyncio.gather(*tries)
        assert sorted(taken, key=str) == [None, *["lock"] * 9]

    with_stores(scenario)


def test_what_expires_makes_room_for_what_is_stored_together(with_stores):
    async def scenario(_blobs, records):
        entry = Entry("key", b"1", 0.1, new=True)
        assert await records.put_together([entry]) is None
        assert await records.put_together([entry._replace(record=b"2")]) == "key"
        await asyncio.sleep(0.2)
        assert await records.put_together([entry._replace(record=b"2")]) is None

    with_stores(scenario)


def test_a_deleted_record_is_gone_and_deleting_again_is_no_error(with_stores):
    async def scenario(_blobs, records):
        await records.put("key", b"1", ttl_s=60)
        await records.delete("key")
        await records.delete("key")
        assert await records.get("key") is None

    with_stores(scenario)


def test_a_record_over_the_bound_is_refused_aloud(with_stores):
    async def scenario(_blobs, records):
        with pytest.raises(ValueError, match="1001 bytes, the store takes 1000"):
            await records.put("key", b"x" * 1001, ttl_s=60)

    with_stores(scenario)


def test_keys_are_found_by_how_they_begin(with_stores):
    async def scenario(blobs, records):
        for key in ("run:2", "run:1", "RUN:3", "other:1", "run%:[1]*", "run%:[2]"):
            await records.put(key, b"1", ttl_s=60)
        await records.put("run:0", b"1", ttl_s=0.1)
        await blobs.put("run:4", b"1")
        await asyncio.sleep(0.2)
        assert await records.keys("run:") == ["run:1", "run:2"]
        assert await records.keys("run%:[1]*") == ["run%:[1]*"]
        assert await records.keys("none") == []

    with_stores(scenario)


def test_one_that_is_cancelled_leaves_the_store_in_order(with_stores):
    async def scenario(_blobs, records):
        for turn in range(20):
            tries = [
                asyncio.create_task(records.put(f"key:{n}", bytes(900), ttl_s=60)) for n in range(4)
            ]
            await asyncio.sleep(turn * 0.0005)
            for task in tries:
                task.cancel()
            await asyncio.gather(*tries, return_exceptions=True)
            await records.put("last", str(turn).encode(), ttl_s=60)
            assert await records.get("last") == str(turn).encode()

    with_stores(scenario)


def test_a_use_never_shortens_a_life(with_stores):
    async def scenario(blobs, records):
        await blobs.put("held", b"1", hold=Hold("run", 60.0))
        await records.put("key", b"1", ttl_s=60)
        assert await blobs.touch("held")
        assert await records.touch("key", ttl_s=0.1)
        assert await records.get("key", renew_s=0.1) == b"1"
        assert await records.swap("key", b"1", b"2", ttl_s=0.1)
        await asyncio.sleep(0.3)
        assert await blobs.get("held") == b"1"
        assert await records.get("key") == b"2"

    with_stores(scenario, ttl_s=0.1)


def test_things_that_are_used_together_are_there_or_not_together(with_stores):
    async def scenario(blobs, _records):
        await blobs.put("a", b"1")
        await blobs.put("b", b"2")
        assert await blobs.touch("a", "b")
        assert not await blobs.touch("a", "b", "c", hold=Hold("run", 60.0))

    with_stores(scenario)


def test_a_record_is_swapped_only_for_what_it_was(with_stores):
    async def scenario(_blobs, records):
        assert not await records.swap("key", b"1", b"2", ttl_s=60)
        await records.put("key", b"1", ttl_s=60)
        assert not await records.swap("key", b"2", b"3", ttl_s=60)
        assert await records.swap("key", b"1", b"2", ttl_s=60)
        assert not await records.swap("key", b"1", None, ttl_s=60)
        assert await records.get("key") == b"2"
        assert await records.swap("key", b"2", None, ttl_s=60)
        assert await records.get("key") is None

    with_stores(scenario)


def test_a_swap_that_is_repeated_after_its_answer_was_lost_has_succeeded(with_stores):
    async def scenario(_blobs, records):
        await records.put("key", b"1", ttl_s=60)
        for _ in range(2):
            assert await records.swap("key", b"1", b"2", ttl_s=60)
        for _ in range(2):
            assert await records.swap("key", b"2", None, ttl_s=60)

    with_stores(scenario)


def test_of_many_who_swap_at_once_none_is_lost(with_stores):
    async def scenario(_blobs, records):
        await records.put("key", b"", ttl_s=60)

        async def join(sign):
            while True:
                there = await records.get("key")
                if await records.swap("key", there, there + sign, ttl_s=60):
                    return

        signs = [bytes([97 + number]) for number in range(20)]
        await asyncio.gather(*map(join, signs))
        assert sorted(await records.get("key")) == sorted(b"".join(signs))

    with_stores(scenario)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def with_small_store(request, tmp_path):
    """Run a scenario with a store that holds four items of 700 bytes."""
    max_bytes = 4 * 700 + 100

    def start(scenario):
        async def within():
            if request.param == "memory":
                size = max_bytes + 4 * OVERHEAD_BYTES
                return await scenario(MemoryStore(max_bytes=size, max_item_bytes=MAX_ITEM_BYTES))
            postgres = request.param == "postgres" and request.getfixturevalue("postgres")
            url = postgres or f"sqlite:///{tmp_path}/stores.db"
            async with open_database(url, alone=False) as database:
                store = SqlStore(database, "records", Bounds(max_bytes, MAX_ITEM_BYTES))
                return await scenario(store)

        return asyncio.run(within())

    return start


def test_what_was_used_least_recently_makes_room(with_small_store):
    async def scenario(store):
        for key in "abcd":
            await store.put(key, bytes(700), ttl_s=60)
        assert await store.touch("a", ttl_s=60)
        assert await store.get("b", renew_s=60) == bytes(700)
        for key in "ef":
            await store.put(key, bytes(700), ttl_s=60)
        return await store.keys("")

    assert with_small_store(scenario) == ["a", "b", "e", "f"]


def test_what_is_held_makes_no_room_until_it_is_let_go(with_small_store):
    async def scenario(store):
        for key in "abcd":
            await store.put(key, bytes(700), ttl_s=60)
        assert await store.touch("a", "b", ttl_s=60, hold=Hold("first", 60.0))
        assert await store.touch("b", ttl_s=60, hold=Hold("second", 60.0))
        for key in "efgh":
            await store.put(key, bytes(700), ttl_s=60)
        assert await store.keys("") == ["a", "b", "g", "h"]
        await store.release("first")
        await store.release("first")
        await store.release("nobody")
        for key in "ijkl":
            await store.put(key, bytes(700), ttl_s=60)
        return await store.keys("")

    assert with_small_store(scenario) == ["b", "j", "k", "l"]


def test_what_finds_no_room_beside_what_is_held_is_refused(with_small_store):
    async def scenario(store):
        for key in "abcd":
            await store.put(key, bytes(700), ttl_s=60, hold=Hold(key, 60.0))
        with pytest.raises(StoreFull, match=r"^what is in use takes all of the store's \d+ bytes$"):
            await store.put("e", bytes(700), ttl_s=60, hold=Hold("e", 60.0))
        with pytest.raises(StoreFull):
            await store.put("a", bytes(900), ttl_s=60)
        assert await store.get("a") == bytes(700)
        await store.release("b")
        await store.put("e", bytes(700), ttl_s=60)
        return await store.keys("")

    assert with_small_store(scenario) == ["a", "c", "d", "e"]


def test_a_hold_that_nobody_lets_go_ends_by_itself(with_small_store):
    async def scenario(store):
        for key in "abcd":
            await store.put(key, bytes(700), ttl_s=60, hold=Hold("dead", 0.1))
        await asyncio.sleep(0.2)
        await store.put("e", bytes(700), ttl_s=60)
        return await store.keys("")

    assert with_small_store(scenario) == ["b", "c", "d", "e"]


def test_what_has_expired_makes_room_first(with_small_store):
    async def scenario(store):
        await store.put("old", bytes(700), ttl_s=60)
        for key in "abc":
            await store.put(key, bytes(700), ttl_s=0.1)
        await asyncio.sleep(0.2)
        for key in "de":
            await store.put(key, bytes(700), ttl_s=60)
        return await store.keys("")

    assert with_small_store(scenario) == ["d", "e", "old"]


def test_a_file_outlives_its_process_and_has_one_owner(tmp_path):
    path = tmp_path / "deep" / "stores.db"
    url = f"sqlite:///{path}"

    async def scenario():
        async with open_sql(url) as store:
            await store("records").put("run:8", bytes(700), ttl_s=60.0)
            with pytest.raises(OSError, match="another process"):
                async with open_sql(url):
                    pass
        async with open_sql(url) as store:
            assert await store("records").get("run:8") == bytes(700)

    asyncio.run(scenario())
    for made in path.parent.iterdir():
        assert made.stat().st_mode & 0o077 == 0


def test_a_file_of_version_0_1_is_read(tmp_path):
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        for table in ("blobs", "records"):
            connection.execute(
                f"CREATE TABLE {table}"
                " (key TEXT PRIMARY KEY, content BLOB NOT NULL, used REAL, expires REAL)"
            )
        connection.execute("INSERT INTO records VALUES ('run:1', x'0102', 1.5, 99999999999.5)")
        connection.execute("CREATE TABLE checkpoints (state TEXT)")
        connection.execute("INSERT INTO checkpoints VALUES ('what a person asked')")
    connection.close()

    async def scenario():
        async with open_sql(f"sqlite:///{path}") as store:
            assert await store("records").get("run:1") == b"\x01\x02"
            assert not await store("records").put_new("run:1", b"new", ttl_s=60)
            await store("blobs").put("a", b"1", ttl_s=60)

    asyncio.run(scenario())
    assert b"what a person asked" not in path.read_bytes()


def make_other_table(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE records (id INTEGER)")
    connection.close()


def make_text(path):
    path.write_text("no database" * 100, encoding="utf-8")


@pytest.mark.parametrize("make", [make_other_table, make_text])
def test_a_file_of_something_else_is_refused(tmp_path, make):
    path = tmp_path / "other.db"
    make(path)

    async def scenario():
        async with open_sql(f"sqlite:///{path}"):
            pass

    with pytest.raises(OSError, match="does not open"):
        asyncio.run(scenario())


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("127.0.0.1:1", "MEDSAM3_STATE_URL does not open: the database failed: OperationalError"),
        ("host:port", "MEDSAM3_STATE_URL is no address of PostgreSQL"),
    ],
)
def test_a_server_that_is_not_there_is_reported_without_its_address(place, message):
    async def scenario():
        async with open_sql(f"postgresql://user:secret@{place}/database"):
            pass

    with pytest.raises(OSError, match=f"^{message}$"):
        asyncio.run(scenario())


def test_many_processes_share_a_database_but_one_alone_has_it(postgres):
    async def scenario():
        async with open_sql(postgres) as first, open_sql(postgres) as second:
            tries = [
                store("records").put_new("key", str(number).encode(), ttl_s=60)
                for number in range(20)
                for store in (first, second)
            ]
            assert sum(await asyncio.gather(*tries)) == 1
            assert await first("records").get("key") == await second("records").get("key")
        async with open_database(postgres, alone=True):
            with pytest.raises(OSError, match="another process has the database"):
                async with open_database(postgres, alone=True):
                    pass
        async with open_database(postgres, alone=True):
            pass

    asyncio.run(scenario())


def test_many_processes_make_the_tables_at_once(postgres):
    async def scenario():
        async def one_of_many(number):
            async with open_sql(postgres) as store:
                await store("records").put(f"key:{number}", b"1", ttl_s=60)
                return await store("records").get(f"key:{number}")

        return await asyncio.gather(*map(one_of_many, range(6)))

    assert asyncio.run(scenario()) == [b"1"] * 6


def test_many_processes_that_use_and_make_room_at_once_do_not_wait_for_each_other(postgres):
    async def scenario():
        async with open_sql(postgres) as first, open_sql(postgres) as second:
            tries = [
                store("records").put(f"key:{number % 15}", bytes(900), ttl_s=0.01 * (number % 7))
                for number in range(40)
                for store in (first, second)
            ]
            uses = [
                store("records").touch(
                    f"key:{number}", f"key:{14 - number}", ttl_s=60, hold=Hold(str(number), 0.01)
                )
                for number in range(7)
                for store in (first, second)
            ]
            await asyncio.gather(*tries, *uses)

    asyncio.run(scenario())


def test_a_database_that_does_not_answer_is_reported_in_time(postgres_server, monkeypatch):
    monkeypatch.setattr(database, "STORE_TIMEOUT_S", 0.5)
    pid = postgres_server.pid

    async def scenario():
        async with open_sql(postgres_server.new_database()) as store:
            records = store("records")
            await records.put("key", b"1", ttl_s=60)
            freeze(pid, signal.SIGSTOP)
            try:
                with pytest.raises(
                    TransportDown, match=r"^the database did not answer within 0.5 s$"
                ):
                    await asyncio.wait_for(records.get("key"), 5.0)
            finally:
                freeze(pid, signal.SIGCONT)
            assert await records.get("key") == b"1"

    asyncio.run(scenario())


def freeze(pid, number):
    """Send a signal to a server and to all that it has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    for each in (pid, *map(int, children)):
        os.kill(each, number)
