import json
import logging
import sys

from api.json_logs import JsonLines


def record(**facts: object) -> logging.LogRecord:
    made = logging.LogRecord("agent.loop.nodes", logging.INFO, __file__, 1, "run ended", (), None)
    vars(made).update(facts)
    return made


def test_a_record_is_one_json_line_with_its_facts() -> None:
    line = JsonLines().format(record(run="run_1", masks=2, note="a\nb"))
    assert "\n" not in line
    found = json.loads(line)
    assert found.pop("time").endswith("+00:00")
    assert found == {
        "level": "info",
        "logger": "agent.loop.nodes",
        "message": "run ended",
        "run": "run_1",
        "masks": 2,
        "note": "a\nb",
    }


def test_an_exception_tells_its_class_and_place_but_not_its_words() -> None:
    try:
        raise ValueError("Jane Doe, born 1970")
    except ValueError:
        failed = record()
        failed.exc_info = sys.exc_info()
    found = json.loads(JsonLines().format(failed))
    assert found["exception"] == "ValueError"
    assert "test_logs.py" in found["frames"][0]
    assert "Jane" not in json.dumps(found)
