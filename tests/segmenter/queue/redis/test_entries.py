"""Answers of stream reads, in every shape redis-py has for them."""

import pytest
import redis

from segmenter.queue.redis.entries import read_entries

ROWS = [(b"1-0", {b"id": b"x"}), (b"2-0", {b"id": b"y"})]
READ = [("1-0", {"id": b"x"}), ("2-0", {"id": b"y"})]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        pytest.param(None, [], id="nothing came"),
        pytest.param([], [], id="an empty list"),
        pytest.param({}, [], id="an empty mapping"),
        pytest.param([[b"stream", ROWS]], READ, id="RESP2"),
        pytest.param({b"stream": ROWS}, READ, id="RESP3"),
        pytest.param({b"stream": [ROWS]}, READ, id="RESP3, older answers"),
        pytest.param({b"stream": [ROWS[:1]]}, READ[:1], id="RESP3, older answers, one entry"),
        pytest.param([[b"stream", []]], [], id="a stream without entries"),
        pytest.param(ROWS, READ, id="claimed entries"),
        pytest.param([(None, None), *ROWS], READ, id="claimed entries, one deleted"),
        pytest.param([(b"1-0", None)], [("1-0", {})], id="claimed entry without fields"),
    ],
)
def test_every_shape_of_answer_gives_the_same_entries(reply, expected):
    assert read_entries(reply) == expected


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("legacy", [True, False], ids=["older answers", "unified answers"])
def test_every_protocol_of_a_real_server_gives_the_same_entries(
    redis_server, prefix, protocol, legacy
):
    url = redis_server.url
    with redis.Redis.from_url(url, protocol=protocol, legacy_responses=legacy) as client:
        for entry_id, fields in READ:
            client.xadd(prefix, fields, id=entry_id)
        client.xgroup_create(prefix, "group", id="0")
        assert read_entries(client.xread({prefix: "0"})) == READ
        assert read_entries(client.xread({prefix: "9"})) == []
        assert read_entries(client.xreadgroup("group", "one", {prefix: ">"})) == READ
        assert read_entries(client.xautoclaim(prefix, "group", "two", 0)[1]) == READ
