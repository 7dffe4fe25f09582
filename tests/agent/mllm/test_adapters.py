"""Both adapters with the real SDKs against a scripted server."""

import asyncio
import io
import json
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import SecretStr

from agent.drawing.overlay import render_clean
from agent.errors import MllmError, MllmRefused, MllmReplyError, MllmUnavailable
from agent.mllm.client import JsonClient
from agent.mllm.contract import Answer, Mllm, Picture
from agent.mllm.gemini import Gemini
from agent.mllm.json.misfit import Misfit
from agent.mllm.openai_chat import OpenAiChat
from agent.schemas.rounds import Usage
from tests.agent.loopback import (
    Received,
    Step,
    gemini_answer,
    loopback,
    openai_answer,
    says,
    sends,
)

KEY = "secret-key-1234"
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {
        "decision": {"type": "string", "enum": ["yes", "no"]},
        "note": {"type": ["string", "null"]},
    },
    "required": ["decision", "note"],
    "additionalProperties": False,
}
GOOD = {"decision": "yes", "note": None}


def read(value: object) -> object:
    """Take what fits the schema; the planner's own reading has its own tests."""
    if not isinstance(value, dict) or "decision" not in value:
        raise Misfit("", "must have a decision", is_other=True)
    if value["decision"] not in ("yes", "no"):
        raise Misfit("decision", "must be one of yes, no")
    return value


PNG = render_clean(np.full((8, 12, 3), 50, dtype=np.uint8))
PICTURE = Picture(png=PNG, width=768, height=512, caption="Picture 1")

WIRES = [pytest.param("gemini", id="gemini"), pytest.param("openai", id="openai")]


def build(wire: str, url: str, *, retries: int = 0, timeout_s: float = 5.0) -> Mllm:
    key = SecretStr(KEY)
    if wire == "gemini":
        return JsonClient(
            Gemini(
                model="m-1",
                api_key=key,
                base_url=url,
                timeout_s=timeout_s,
                attempts=retries + 1,
                retry_delay_s=0.01,
            )
        )
    return JsonClient(
        OpenAiChat(
            model="m-1", api_key=key, base_url=f"{url}/v1", timeout_s=timeout_s, retries=retries
        )
    )


def asked(mllm: Mllm, *, timeout_s: float = 5.0, times: int = 1) -> Answer[object]:
    async def run() -> Answer[object]:
        try:
            for _ in range(times):
                answer = await mllm.ask(
                    system="You judge.",
                    text="Is it there? patient-words",
                    pictures=(PICTURE,),
                    schema=SCHEMA,
                    read=read,
                    timeout_s=timeout_s,
                )
            return answer
        finally:
            await mllm.aclose()

    return asyncio.run(run())


def ask_script(
    wire: str, *script: Step | Callable[[Received], Step], **rest: Any
) -> Answer[object]:
    with loopback(*script) as server:
        return asked(build(wire, server.url), **rest)


@pytest.mark.parametrize("wire", WIRES)
def test_a_question_travels_whole_and_its_answer_comes_back(wire: str) -> None:
    with loopback(says(GOOD)) as server:
        answer = asked(build(wire, server.url))
    assert answer.content == GOOD
    assert (answer.usage.calls, answer.usage.input_tokens, answer.usage.output_tokens) == (
        1,
        100,
        25,
    )
    (request,) = server.received
    assert request.system == "You judge."
    assert request.words == "Picture 1:\nIs it there? patient-words"
    assert request.pictures == [PNG]
    assert Image.open(io.BytesIO(request.pictures[0])).info == {}
    assert "temperature" not in json.dumps(request.settings)


def test_gemini_is_asked_on_its_wire_with_the_schema_and_without_side_effects() -> None:
    with loopback(says(GOOD)) as server:
        asked(build("gemini", server.url))
    (request,) = server.received
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert request.path == "/v1beta/models/m-1:generateContent"
    assert headers["x-goog-api-key"] == KEY
    assert request.settings["responseMimeType"] == "application/json"
    assert request.settings["responseJsonSchema"] == SCHEMA
    assert "tools" not in request.body


def test_an_openai_server_is_asked_on_its_wire_with_the_strict_schema() -> None:
    with loopback(says(GOOD)) as server:
        asked(build("openai", server.url))
    (request,) = server.received
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert request.path == "/v1/chat/completions"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert "openai-organization" not in headers
    assert request.settings["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA},
    }


UNAVAILABLE = [
    *(pytest.param(sends({"error": {"message": "x", "code": code}}, status=code), id=str(code))
      for code in (400, 401, 403, 404, 408, 409, 413, 429, 500, 503)),
    pytest.param(Step(drop=True), id="dropped connection"),
    pytest.param(Step(body=b'{"candidates"', promised_bytes=5000), id="truncated body"),
    pytest.param(Step(status=302, headers={"Location": "http://127.0.0.1:9/"}), id="redirect"),
    pytest.param(Step(status=502, body=b"<html>", content_type="text/html"), id="html 502"),
]  # fmt: skip


@pytest.mark.parametrize("step", UNAVAILABLE)
@pytest.mark.parametrize("wire", WIRES)
def test_a_server_that_does_not_serve_is_unavailable(wire: str, step: Step) -> None:
    with pytest.raises(MllmUnavailable) as caught:
        ask_script(wire, step)
    assert_no_secrets(caught.value)


def assert_no_secrets(error: BaseException) -> None:
    assert KEY not in repr(error)
    assert "patient-words" not in repr(error)
    assert error.__cause__ is None


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(Step(body=b"<html>hello</html>", content_type="text/html"), id="html"),
        pytest.param(Step(), id="empty"),
        pytest.param(sends([]), id="list"),
        pytest.param(sends("text"), id="string"),
        pytest.param(sends(None), id="null"),
        pytest.param(sends({}), id="empty object"),
        pytest.param(sends({"error": {"message": "overloaded"}}), id="error with 200"),
        pytest.param(sends({"choices": None, "candidates": None}), id="null choices"),
        pytest.param(sends({"choices": [7], "candidates": [7]}), id="odd choices"),
        pytest.param(Step(body=b'{"choices": ['), id="cut"),
        pytest.param(Step(body=b"[" * 100_000), id="deep"),
        pytest.param(Step(body=b"\xff\xfe\x00"), id="not utf-8"),
    ],
)
@pytest.mark.parametrize("wire", WIRES)
def test_a_success_that_is_no_answer_is_a_reply_error(wire: str, step: Step) -> None:
    with pytest.raises(MllmReplyError) as caught:
        ask_script(wire, step)
    assert_no_secrets(caught.value)


@pytest.mark.parametrize("wire", WIRES)
def test_a_server_that_never_answers_meets_the_deadline(wire: str) -> None:
    with pytest.raises(MllmUnavailable):
        ask_script(wire, Step(wait_s=10), timeout_s=0.3)


@pytest.mark.parametrize("wire", WIRES)
def test_a_read_that_takes_too_long_is_unavailable(wire: str) -> None:
    with loopback(Step(wait_s=10)) as server, pytest.raises(MllmUnavailable):
        asked(build(wire, server.url, timeout_s=0.2))


@pytest.mark.parametrize("wire", WIRES)
def test_a_server_that_drips_outlives_no_deadline(wire: str) -> None:
    with loopback(Step(body=b" " * 1000, drip_s=0.05)) as server, pytest.raises(MllmUnavailable):
        asked(build(wire, server.url, timeout_s=0.3), timeout_s=0.6)


@pytest.mark.parametrize("wire", WIRES)
def test_a_closed_port_is_unavailable(wire: str) -> None:
    with loopback(says(GOOD)) as server:
        url = server.url
    with pytest.raises(MllmUnavailable):
        asked(build(wire, url))


@pytest.mark.parametrize("wire", WIRES)
def test_only_the_sdk_retries_and_only_as_often_as_told(wire: str) -> None:
    busy = sends({"error": {"message": "busy"}}, status=429, headers={"retry-after-ms": "1"})
    with loopback(busy, says(GOOD)) as server:
        assert asked(build(wire, server.url, retries=1)).content == GOOD
    assert len(server.received) == 2
    with loopback(busy) as server, pytest.raises(MllmUnavailable):
        asked(build(wire, server.url, retries=1))
    assert len(server.received) == 2


@pytest.mark.parametrize(
    ("wire", "body"),
    [
        pytest.param("gemini", {"promptFeedback": {"blockReason": "SAFETY"}}, id="prompt blocked"),
        pytest.param("gemini", gemini_answer("", "SAFETY"), id="answer blocked"),
        pytest.param("gemini", gemini_answer("{}", "PROHIBITED_CONTENT"), id="prohibited"),
        pytest.param("openai", openai_answer(None, refusal="I cannot"), id="refusal"),
        pytest.param("openai", openai_answer(None, "content_filter"), id="content filter"),
    ],
)
def test_a_refusal_is_told_apart(wire: str, body: object) -> None:
    with pytest.raises(MllmRefused):
        ask_script(wire, sends(body))


def test_a_filtered_question_is_a_refusal() -> None:
    body = {"error": {"message": "filtered", "code": "content_filter"}}
    with pytest.raises(MllmRefused):
        ask_script("openai", sends(body, status=400))


@pytest.mark.parametrize(
    ("wire", "finish"), [("gemini", "MAX_TOKENS"), ("openai", "length"), ("openai", "max_tokens")]
)
def test_a_cut_answer_is_asked_again_and_never_taken_for_a_whole_one(
    wire: str, finish: str
) -> None:
    cut = says('{"decision": "no", "no', finish=finish)
    with loopback(cut, says(GOOD)) as server:
        answer = asked(build(wire, server.url))
    assert (answer.content, answer.usage.calls, answer.usage.input_tokens) == (GOOD, 2, 200)
    assert "cut at the token limit" in server.received[1].words
    with loopback(says(GOOD, finish=finish)) as server, pytest.raises(MllmReplyError) as caught:
        asked(build(wire, server.url))
    assert len(server.received) == 2
    assert caught.value.reason == "cut at the token limit"


def test_an_answer_with_an_end_of_tomorrow_is_none() -> None:
    with pytest.raises(MllmReplyError):
        ask_script("gemini", says(GOOD, finish="A_REASON_OF_TOMORROW"))


def test_unknown_words_of_tomorrow_s_gemini_do_no_harm() -> None:
    body = gemini_answer(json.dumps(GOOD))
    body["candidates"][0]["safetyRatings"] = [{"category": "NEW", "probability": "ODD"}]
    body["usageMetadata"]["trafficType"] = "NEW"
    body["candidates"][0]["content"]["parts"].insert(0, {"text": "hm {}", "thought": True})
    assert ask_script("gemini", sends(body)).content == GOOD


@pytest.mark.parametrize("finish", [None, "eos", "stop"])
def test_finish_reasons_of_other_servers_pass(finish: str | None) -> None:
    body = openai_answer(json.dumps(GOOD))
    body["choices"][0]["finish_reason"] = finish
    body["usage"] = None
    del body["id"]
    assert ask_script("openai", sends(body)).content == GOOD


@pytest.mark.parametrize(
    "message",
    [
        pytest.param({"content": [{"type": "text", "text": json.dumps(GOOD)}]}, id="parts"),
        pytest.param({"tool_calls": [{"function": {"arguments": GOOD}}]}, id="call, object"),
        pytest.param({"tool_calls": [{"function": {"arguments": json.dumps(GOOD)}}]}, id="call"),
        pytest.param(
            {"tool_calls": [{"function": {"arguments": "{}"}}, {"function": {"arguments": GOOD}}]},
            id="second call",
        ),
        pytest.param({"function_call": {"arguments": json.dumps(GOOD)}}, id="legacy call"),
        pytest.param(
            {"content": "I answer.", "tool_calls": [{"function": {"arguments": GOOD}}]},
            id="words and a call",
        ),
        pytest.param({"content": GOOD}, id="object"),
        pytest.param({"content": [json.dumps(GOOD)]}, id="list of words"),
        pytest.param(
            {
                "content": [
                    {"type": "reasoning", "text": '{"decision": "no"}'},
                    {"type": "text", "text": json.dumps(GOOD)[:9]},
                    {"type": "text", "text": json.dumps(GOOD)[9:]},
                ]
            },
            id="thought and two parts",
        ),
        pytest.param(
            {"content": json.dumps(GOOD), "reasoning_content": '{"decision": "no"}'}, id="thoughts"
        ),
    ],
)
def test_answers_in_odd_places_are_found(message: dict[str, Any]) -> None:
    body = openai_answer(None)
    body["choices"][0]["message"].update(message)
    assert ask_script("openai", sends(body)).content == GOOD


@pytest.mark.parametrize("place", ["reasoning_content", "reasoning", "thinking"])
@pytest.mark.parametrize("content", [None, "", " \n"])
def test_an_answer_that_was_put_among_the_thoughts_alone_is_found(
    place: str, content: str | None
) -> None:
    body = openai_answer(content, **{place: f"So it is.\n{json.dumps(GOOD)}"})
    assert ask_script("openai", sends(body)).content == GOOD


def test_thoughts_beside_an_answer_are_not_read() -> None:
    body = openai_answer("I cannot tell.", reasoning_content=json.dumps(GOOD))
    with pytest.raises(MllmReplyError) as caught:
        ask_script("openai", sends(body))
    assert caught.value.reason == "no JSON"


def test_a_function_call_of_gemini_is_an_answer() -> None:
    body = gemini_answer("")
    body["candidates"][0]["content"]["parts"] = [
        {"text": "Let me see.", "thought": True},
        {"functionCall": {"name": "answer", "args": GOOD}},
    ]
    assert ask_script("gemini", sends(body)).content == GOOD


def test_an_answer_of_gemini_in_parts_or_among_its_thoughts_alone_is_found() -> None:
    text = json.dumps(GOOD)
    body = gemini_answer("")
    body["candidates"][0]["content"]["parts"] = [{"text": text[:8]}, {"text": text[8:]}]
    assert ask_script("gemini", sends(body)).content == GOOD
    body["candidates"][0]["content"]["parts"] = [{"text": text, "thought": True}, {"text": ""}]
    assert ask_script("gemini", sends(body)).content == GOOD


def event(**choice: Any) -> str:
    return f"data: {json.dumps({'id': 'x', 'choices': [{'index': 0, **choice}]})}\n\n"


def test_a_stream_of_events_that_nobody_asked_for_is_put_together() -> None:
    text = json.dumps(GOOD)
    usage = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}
    stream = (
        ": ping\n\n"
        + event(delta={"role": "assistant", "content": ""})
        + "".join(event(delta={"content": text[at : at + 5]}) for at in range(0, len(text), 5))
        + event(delta={}, finish_reason="stop")
        + f"event: usage\ndata: {json.dumps(usage)}\n\ndata: [DONE]\n\n"
    )
    answer = ask_script("openai", Step(body=stream.encode(), content_type="text/event-stream"))
    assert (answer.content, answer.usage.tokens) == (GOOD, 10)


def test_a_stream_of_events_of_gemini_is_put_together() -> None:
    text = json.dumps(GOOD)
    first, last = gemini_answer(text[:9]), gemini_answer(text[9:])
    del first["usageMetadata"], first["candidates"][0]["finishReason"]
    stream = "".join(f"data: {json.dumps(event)}\r\n\r\n" for event in (first, last))
    step = Step(body=stream.encode(), content_type="text/event-stream; charset=utf-8")
    answer = ask_script("gemini", step)
    assert (answer.content, answer.usage.tokens) == (GOOD, 125)


def test_a_call_that_comes_as_events_is_put_together_and_a_cut_stream_is_cut() -> None:
    first, second = json.dumps(GOOD)[:10], json.dumps(GOOD)[10:]
    call = "".join(
        event(delta={"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
        for piece in (first, second)
    )
    assert ask_script("openai", Step(body=call.encode())).content == GOOD
    with pytest.raises(MllmReplyError) as caught:
        ask_script("openai", Step(body=(call + event(delta={}, finish_reason="length")).encode()))
    assert caught.value.reason == "cut at the token limit"


@pytest.mark.parametrize(
    ("wire", "body", "reason"),
    [
        pytest.param("openai", openai_answer(""), "empty", id="empty"),
        pytest.param("openai", openai_answer(None), "empty", id="no content"),
        pytest.param("openai", openai_answer("<think> </think>"), "empty", id="only a thought"),
        pytest.param("openai", openai_answer("", "length"), "cut at the token limit", id="cut"),
        pytest.param("openai", openai_answer("I see a mass."), "no JSON", id="prose"),
        pytest.param(
            "openai", openai_answer('{"decision": 5}'), "does not fit: decision", id="misfit"
        ),
        pytest.param("openai", openai_answer(None, refusal="no"), "refused", id="refused"),
        pytest.param("gemini", gemini_answer(""), "empty", id="gemini, empty"),
        pytest.param("gemini", gemini_answer("", "SAFETY"), "refused", id="gemini, refused"),
        pytest.param(
            "gemini", gemini_answer("", "MAX_TOKENS"), "cut at the token limit", id="gemini, cut"
        ),
    ],
)
def test_a_failed_answer_says_why_and_what_it_cost(
    wire: str, body: object, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO),
        loopback(sends(body)) as server,
        pytest.raises(MllmError) as caught,
    ):
        asked(build(wire, server.url))
    turns = len(server.received)
    assert caught.value.reason == reason
    assert caught.value.usage == Usage(
        calls=turns, input_tokens=100 * turns, output_tokens=25 * turns
    )
    lines = [vars(line) for line in caplog.records if line.name == "agent.mllm.audit"]
    assert [(line["reason"], line["input_tokens"]) for line in lines] == [(reason, 100)] * turns


def test_what_was_spent_before_a_deadline_counts() -> None:
    with loopback(says("no idea"), Step(wait_s=10)) as server, pytest.raises(MllmError) as caught:
        asked(build("openai", server.url), timeout_s=1.0)
    assert (caught.value.reason, caught.value.usage.calls) == ("no answer in time", 1)


@pytest.mark.parametrize("wire", WIRES)
def test_one_repair_turn_shows_the_fault_and_the_words_but_no_picture(wire: str) -> None:
    bad = '{"decision": "maybe"}' + "x" * 5000
    with loopback(says(bad), says(GOOD)) as server:
        answer = asked(build(wire, server.url))
    assert answer.content == GOOD
    assert answer.usage.calls == 2
    _, second = server.received
    assert second.pictures == []
    assert "`decision` must be one of yes, no" in second.words
    assert '{"decision": "maybe"}' in second.words
    assert len(second.words) < 2500
    assert "patient-words" not in second.words


@pytest.mark.parametrize("wire", WIRES)
def test_there_is_no_second_repair_turn(wire: str) -> None:
    with loopback(says("no idea")) as server, pytest.raises(MllmReplyError) as caught:
        asked(build(wire, server.url))
    assert len(server.received) == 2
    assert "no idea" not in str(caught.value)
    assert caught.value.reason == "no JSON"


REFUSED_SCHEMA = {
    "error": {
        "message": "Unknown name response_format / responseJsonSchema: not supported",
        "code": 400,
        "status": "INVALID_ARGUMENT",
    }
}


@pytest.mark.parametrize("wire", WIRES)
def test_a_looser_answer_mode_is_taken_and_is_remembered(wire: str) -> None:
    with loopback(sends(REFUSED_SCHEMA, status=400), says(GOOD)) as server:
        answer = asked(build(wire, server.url), times=2)
    assert answer.content == GOOD
    first, second, third = server.received
    assert "schema" in json.dumps(first.settings).lower()
    for later in (second, third):
        assert "schema" not in json.dumps(later.settings).lower()
        assert "json" in json.dumps(later.settings).lower()
        assert '"enum":["yes","no"]' in later.words


@pytest.mark.parametrize("wire", WIRES)
def test_the_loosest_answer_mode_is_plain_text(wire: str) -> None:
    refused = sends(REFUSED_SCHEMA, status=422)
    with loopback(refused, refused, says(f"Sure!\n```json\n{json.dumps(GOOD)}\n```")) as server:
        assert asked(build(wire, server.url)).content == GOOD
    assert "json" not in json.dumps(server.received[-1].settings).lower()
    with loopback(refused) as server, pytest.raises(MllmUnavailable):
        asked(build(wire, server.url))
    assert len(server.received) == 3


def test_the_name_of_the_token_limit_is_swapped_once() -> None:
    body = {"error": {"message": "Unsupported parameter", "param": "max_completion_tokens"}}
    with loopback(sends(body, status=400), says(GOOD)) as server:
        asked(build("openai", server.url))
    assert "max_tokens" in server.received[1].settings
    assert "response_format" in server.received[1].settings
    both = {"error": {"message": "neither max_tokens nor max_completion_tokens"}}
    with loopback(sends(both, status=400)) as server, pytest.raises(MllmUnavailable):
        asked(build("openai", server.url))
    assert len(server.received) == 2


@pytest.mark.parametrize("wire", WIRES)
def test_the_environment_cannot_redirect(wire: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("OPENAI_API_KEY", "GOOGLE_API_KEY", "GEMINI_API_KEY", "OPENAI_ORG_ID"):
        monkeypatch.setenv(name, "from-the-environment")
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    monkeypatch.setenv("GOOGLE_GENAI_CLIENT_MODE", "record")
    with loopback(says(GOOD)) as server:
        assert asked(build(wire, server.url)).content == GOOD
    assert "from-the-environment" not in json.dumps(server.received[0].headers)


@pytest.mark.parametrize("wire", WIRES)
def test_the_audit_line_holds_digests_and_no_content(
    wire: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        ask_script(wire, says(GOOD))
    lines = [record for record in caplog.records if record.name == "agent.mllm.audit"]
    assert [record.getMessage() for record in lines] == ["mllm call"]
    audit = vars(lines[0])
    assert audit["host"] == "127.0.0.1"
    assert audit["model"] == "m-1"
    assert audit["outcome"] == "answered"
    assert audit["images"][0]["bytes"] == len(PNG)
    assert (audit["input_tokens"], audit["output_tokens"]) == (100, 25)
    everything = "".join(str(vars(record)) for record in caplog.records)
    assert "patient-words" not in everything
    assert KEY not in everything


@pytest.mark.parametrize("wire", WIRES)
def test_a_failed_call_is_audited_too(wire: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), pytest.raises(MllmError):
        ask_script(wire, Step(status=500))
    (line,) = [record for record in caplog.records if record.name == "agent.mllm.audit"]
    assert vars(line)["outcome"] == "MllmUnavailable"


@pytest.mark.parametrize("wire", WIRES)
def test_cancelling_a_question_returns_at_once(wire: str) -> None:
    async def run(mllm: Mllm) -> None:
        question = asyncio.create_task(
            mllm.ask(system="", text="x", pictures=(), schema=SCHEMA, read=read, timeout_s=30)
        )
        await asyncio.sleep(0.2)
        question.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(question, 2)
        await mllm.aclose()

    with loopback(Step(wait_s=10)) as server:
        asyncio.run(run(build(wire, server.url)))
