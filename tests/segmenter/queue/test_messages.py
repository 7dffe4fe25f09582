"""What travels: versioned, closed, and a failure that stays the same error."""

import pytest
from pydantic import ValidationError

from segmenter import errors
from segmenter.contract import Failure, ImageRef, Prompt, SegmentRequest
from segmenter.queue.messages import (
    Answer,
    Job,
    MalformedMessage,
    failed,
    read_answer,
    read_job,
    to_error,
)

REQUEST = SegmentRequest(
    image=ImageRef(sha256="0" * 64, width=4, height=4, format="png"),
    prompts=(Prompt(text="liver"),),
)
JOB = Job(id="a" * 32, kind="segment", request=REQUEST)


def test_a_job_comes_back_as_it_was_sent():
    assert read_job(JOB.model_dump_json()) == JOB


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x80\x04\x95pickle", id="a pickle"),
        pytest.param(b"[]", id="a list"),
        pytest.param(JOB.model_dump_json().replace('"version":1', '"version":2'), id="a version"),
        pytest.param(JOB.model_dump_json().replace("aaaa", "../.", 1), id="an id with a path"),
        pytest.param(JOB.model_dump_json().replace("{", '{"more":1,', 1), id="a field too many"),
        pytest.param('{"id":"' + "a" * 32 + '","kind":"segment"}', id="no request"),
        pytest.param(JOB.model_dump_json().replace("segment", "capabilities"), id="a request"),
        pytest.param(JOB.model_dump_json().replace('"nms_iou":0.5', '"nms_iou":NaN'), id="a NaN"),
    ],
)
def test_a_malformed_job_is_refused_without_its_text(text):
    with pytest.raises(MalformedMessage, match="no job of version 1") as caught:
        read_job(text)
    assert "liver" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_malformed_answer_is_refused():
    with pytest.raises(MalformedMessage, match="no answer of version 1"):
        read_answer('{"version":1}')


def test_an_answer_says_exactly_one_thing():
    with pytest.raises(ValidationError, match="an answer holds"):
        Answer()


DOMAIN_ERRORS = [
    errors.UnsupportedImage("m", field="file"),
    errors.BrokenImage("m"),
    errors.ImageTooLarge("m"),
    errors.InvalidPrompt("m", field="prompts.0.text"),
    errors.ImageNotFound("m"),
    errors.QueueFull("m"),
    errors.NoWorker("m"),
    errors.TransportDown("m"),
    errors.DeadlineExceeded("m"),
    errors.JobCancelled("m"),
    errors.JobFailed("m"),
]


@pytest.mark.parametrize("error", DOMAIN_ERRORS, ids=lambda error: type(error).__name__)
def test_a_domain_error_arrives_as_the_same_error(error):
    failure = read_answer(failed(error).model_dump_json()).failure
    assert failure is not None
    arrived = to_error(failure)
    assert type(arrived) is type(error)
    assert vars(arrived) == vars(error)
    assert str(arrived) == "m"


@pytest.mark.parametrize("name", ["Unheard", "SystemExit", "__builtins__", "__doc__", ""])
def test_an_error_of_a_foreign_name_arrives_as_a_failed_job(name):
    assert type(to_error(Failure(error=name, message="m"))) is errors.JobFailed


def test_a_volume_job_carries_its_id_and_nothing_else():
    job = Job(id="b" * 32, kind="volume")
    assert read_job(job.model_dump_json()) == job
    with pytest.raises(ValidationError, match="a volume job needs no request"):
        Job(id="b" * 32, kind="volume", request=REQUEST)


def test_an_answer_to_a_volume_job_names_it():
    answer = Answer(volume="b" * 32)
    assert read_answer(answer.model_dump_json()) == answer
    with pytest.raises(ValidationError):
        Answer(volume="../answer")
