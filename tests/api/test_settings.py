import asyncio
from collections.abc import Iterator

import pytest
from pydantic import BaseModel, SecretStr

from api.bootstrap.planners import Kind, build_mllms, close_all, describe, is_guarded
from api.settings import (
    Settings,
    SettingsError,
    forbid_tracing,
    load_settings,
    redis_place,
    refuse_unguarded,
    variable,
)
from segmenter.settings import Sam3Options
from tests.paths import ROOT

KEY = "a-key-of-some-length"


def test_nothing_set_gives_a_private_service_that_sends_nothing() -> None:
    settings = load_settings({})
    assert settings == Settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert (settings.planner, settings.egress, settings.redis_url) == ("rules", "off", None)
    assert not settings.is_public


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("MEDSAM3_PORT", "9000", 9000),
        ("MEDSAM3_RUN_TIMEOUT_S", "12.5", 12.5),
        ("MEDSAM3_ALLOWED_HOSTS", "a.example, b.example,", ("a.example", "b.example")),
        ("MEDSAM3_API_KEYS", f"{KEY},{KEY}2", (SecretStr(KEY), SecretStr(KEY + "2"))),
        ("MEDSAM3_EGRESS", "deidentified", "deidentified"),
        ("MEDSAM3_REDIS_URL", "redis://x:6379/0", SecretStr("redis://x:6379/0")),
        ("MEDSAM3_API_KEYS", "", ()),
        ("GEMINI_API_KEY", "g", SecretStr("g")),
    ],
)
def test_a_variable_sets_its_field(name: str, text: str, value: object) -> None:
    field = name.removeprefix("MEDSAM3_").lower()
    assert getattr(load_settings({name: text}), field) == value


def test_variables_of_sam3_are_its_options() -> None:
    environ = {"MEDSAM3_SAM3_WEIGHTS": "w", "MEDSAM3_SAM3_COMPILE": "1", "MEDSAM3_SAM3_DEVICE": ""}
    assert load_settings(environ).sam3 == Sam3Options(weights="w", compile=True)


def test_our_name_wins_over_the_makers() -> None:
    settings = load_settings({"GEMINI_API_KEY": "theirs", "MEDSAM3_GEMINI_API_KEY": "ours"})
    assert settings.gemini_api_key == SecretStr("ours")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("MEDSAM3_REDIS_ULR", "MEDSAM3_REDIS_URL"),
        ("MEDSAM3_APIKEY", "MEDSAM3_API_KEYS"),
        ("MEDSAM3_egress", "MEDSAM3_EGRESS"),
        ("MEDSAM3_SAM3", "MEDSAM3_SAM3_LORA"),
        ("MEDSAM3_SAM3_WEIGHT", "MEDSAM3_SAM3_WEIGHTS"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_known_one(name: str, nearest: str) -> None:
    with pytest.raises(SettingsError, match=f"unknown setting {name}; .* {nearest}$"):
        load_settings({name: "x"})


def test_names_of_compose_and_tests_are_not_ours() -> None:
    assert load_settings({"MEDSAM3_REDIS_MEMORY": "2gb", "MEDSAM3_SHARED": "/x"}) == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MEDSAM3_PORT", "secret-value"),
        ("MEDSAM3_PORT", "70000"),
        ("MEDSAM3_API_KEYS", "secret-value"),
        ("MEDSAM3_PLANNER", "secret-value"),
        ("MEDSAM3_REDIS_URL", "secret-value"),
        ("MEDSAM3_REDIS_URL", "redis://user:secret@host:port"),
        ("MEDSAM3_RUN_TIMEOUT_S", "-1"),
        ("MEDSAM3_RUN_TIMEOUT_S", "nan"),
        ("MEDSAM3_SAM3_DEVICE", "tpu"),
        ("MEDSAM3_SAM3_LORA_ALPHA", "-2.5"),
    ],
)
def test_a_wrong_value_is_named_by_its_variable_and_never_repeated(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: ") as caught:
        load_settings({name: value})
    assert value not in str(caught.value)
    assert caught.value.__cause__ is None


def test_secrets_do_not_print() -> None:
    settings = load_settings({"MEDSAM3_API_KEYS": KEY, "MEDSAM3_REDIS_URL": "redis://:pw@h"})
    assert KEY not in repr(settings)
    assert "pw" not in repr(settings)


@pytest.mark.parametrize(
    ("host", "public"),
    [
        ("127.0.0.1", False),
        ("127.8.8.8", False),
        ("::1", False),
        ("localhost", False),
        ("0.0.0.0", True),
        ("::", True),
        ("10.0.0.5", True),
        ("clinic.example", True),
    ],
)
def test_a_public_address_needs_a_key(host: str, public: bool) -> None:
    settings = Settings(host=host)
    assert settings.is_public is public
    if public:
        with pytest.raises(SettingsError, match="without a key"):
            refuse_unguarded(settings)
    else:
        refuse_unguarded(settings)
    refuse_unguarded(Settings(host=host, api_keys=(SecretStr(KEY),)))


def test_tracing_and_body_logs_are_forced_off() -> None:
    environ = {
        "LANGSMITH_TRACING": "true",
        "LANGCHAIN_TRACING_V2": "true",
        "LANGSMITH_API_KEY": "k",
        "LANGSMITH_ENDPOINT": "https://elsewhere.example",
        "OPENAI_LOG": "debug",
        "PATH": "/bin",
    }
    forbid_tracing(environ)
    assert environ == {
        "LANGSMITH_TRACING": "false",
        "LANGSMITH_TRACING_V2": "false",
        "LANGCHAIN_TRACING": "false",
        "LANGCHAIN_TRACING_V2": "false",
        "PATH": "/bin",
    }


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://user:pw@queue.example:6380/2", "queue.example:6380"),
        ("rediss://:pw@queue.example", "queue.example:6379"),
        ("redis://", "localhost:6379"),
        ("unix://user:pw@/run/redis.sock?db=1&password=pw", "/run/redis.sock"),
    ],
)
def test_the_place_of_redis_holds_no_credentials(url: str, place: str) -> None:
    assert redis_place(SecretStr(url)) == place


def test_variables_are_named_after_fields() -> None:
    assert variable("redis_url") == "MEDSAM3_REDIS_URL"


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"MEDSAM3_PLANNER": "gemini"}, "needs MEDSAM3_GEMINI_MODEL and MEDSAM3_GEMINI_API_KEY"),
        (
            {"MEDSAM3_PLANNER": "openai", "MEDSAM3_OPENAI_BASE_URL": "http://127.0.0.1:1/v1"},
            "needs MEDSAM3_OPENAI_MODEL",
        ),
        (
            {
                "MEDSAM3_PLANNER": "gemini",
                "MEDSAM3_GEMINI_MODEL": "m",
                "MEDSAM3_GEMINI_API_KEY": "k",
            },
            "MEDSAM3_EGRESS=deidentified allows it",
        ),
        (
            {
                "MEDSAM3_PLANNER": "gemini",
                "MEDSAM3_GEMINI_MODEL": "m",
                "MEDSAM3_VERTEX_PROJECT": "hospital",
                "MEDSAM3_VERTEX_LOCATION": "europe-west4",
            },
            "europe-west4-aiplatform.googleapis.com: egress is off; MEDSAM3_EGRESS=deidentified",
        ),
        (
            {
                "MEDSAM3_PLANNER": "gemini",
                "MEDSAM3_GEMINI_MODEL": "m",
                "MEDSAM3_GEMINI_BASE_URL": "http://10.0.0.5",
                "MEDSAM3_PRIVATE_SERVERS": "false",
            },
            "servers of the network are off; MEDSAM3_PRIVATE_SERVERS=true",
        ),
        (
            {
                "MEDSAM3_PLANNER": "openai",
                "MEDSAM3_OPENAI_MODEL": "m",
                "MEDSAM3_OPENAI_BASE_URL": "http://10.0.0.5/v1",
                "MEDSAM3_PRIVATE_SERVERS": "false",
            },
            "servers of the network are off; MEDSAM3_PRIVATE_SERVERS=true",
        ),
        (
            {"MEDSAM3_PLANNER": "openai", "MEDSAM3_AZURE_ENDPOINT": "https://h.openai.azure.com"},
            "needs MEDSAM3_AZURE_DEPLOYMENT and MEDSAM3_AZURE_API_KEY",
        ),
        (
            {
                "MEDSAM3_PLANNER": "openai",
                "MEDSAM3_AZURE_ENDPOINT": "https://h.openai.azure.com",
                "MEDSAM3_AZURE_DEPLOYMENT": "prod-1",
                "AZURE_OPENAI_API_KEY": "k",
            },
            "h.openai.azure.com: egress is off",
        ),
        (
            {
                "MEDSAM3_AZURE_ENDPOINT": "https://h.openai.azure.com",
                "MEDSAM3_OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
            },
            "name two servers",
        ),
        ({"MEDSAM3_VERTEX_CREDENTIALS": "/key.json"}, "needs MEDSAM3_VERTEX_PROJECT"),
        ({"MEDSAM3_AZURE_DEPLOYMENT": "prod-1"}, "needs MEDSAM3_AZURE_ENDPOINT"),
        (
            {
                "MEDSAM3_PLANNER": "gemini",
                "MEDSAM3_GEMINI_MODEL": "m",
                "MEDSAM3_EGRESS": "deidentified",
                "MEDSAM3_VERTEX_PROJECT": "hospital",
                "MEDSAM3_VERTEX_CREDENTIALS": "/nowhere/key.json",
            },
            "MEDSAM3_VERTEX_CREDENTIALS: /nowhere/key.json is no key file of a service account",
        ),
        ({"MEDSAM3_VERTEX_LOCATION": "evil.example/#"}, "MEDSAM3_VERTEX_LOCATION"),
        ({"MEDSAM3_AZURE_DEPLOYMENT": "../x"}, "MEDSAM3_AZURE_DEPLOYMENT"),
    ],
)
def test_a_default_planner_that_cannot_work_stops_the_start(
    environ: dict[str, str], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        build_mllms(load_settings(environ))


def test_an_mllm_outside_is_left_out_while_nothing_may_leave() -> None:
    settings = load_settings({"MEDSAM3_GEMINI_MODEL": "m", "GEMINI_API_KEY": "k"})
    assert build_mllms(settings) == {}


@pytest.mark.parametrize(
    ("environ", "kind", "said", "guarded"),
    [
        (
            {"MEDSAM3_GEMINI_MODEL": "m", "MEDSAM3_GEMINI_BASE_URL": "http://127.0.0.1:1"},
            "gemini",
            "m at 127.0.0.1",
            False,
        ),
        (
            {"MEDSAM3_GEMINI_MODEL": "m", "MEDSAM3_VERTEX_PROJECT": "hospital"},
            "gemini",
            "m on Vertex AI at aiplatform.googleapis.com",
            True,
        ),
        (
            {
                "MEDSAM3_AZURE_ENDPOINT": "https://h.openai.azure.com",
                "MEDSAM3_AZURE_DEPLOYMENT": "prod-1",
                "MEDSAM3_AZURE_API_KEY": "k",
            },
            "openai",
            "prod-1 on Azure OpenAI at h.openai.azure.com",
            True,
        ),
        (
            {"OPENAI_API_KEY": "k", "MEDSAM3_OPENAI_MODEL": "m"},
            "openai",
            "m at api.openai.com",
            True,
        ),
    ],
)
def test_who_is_asked_where_is_said_and_guarded(
    environ: dict[str, str], kind: Kind, said: str, guarded: bool
) -> None:
    settings = load_settings(environ | {"MEDSAM3_EGRESS": "deidentified"})
    mllms = build_mllms(settings)
    asyncio.run(close_all(mllms.values()))
    assert list(mllms) == [kind]
    assert describe(settings, kind) == said
    assert is_guarded(settings, kind) is guarded


def leaves(settings: BaseModel, head: str = "") -> Iterator[tuple[str, object]]:
    for name, value in settings:
        if isinstance(value, BaseModel):
            yield from leaves(value, f"{head}{name}_")
        else:
            yield variable(head + name), value


def test_the_example_file_shows_every_setting_with_its_default() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    shown = dict(line[1:].split("=", 1) for line in lines if line.startswith("#MEDSAM3_"))
    defaults = dict(leaves(Settings()))
    assert shown.keys() == defaults.keys()
    assert load_settings(shown) == Settings()
    # An empty value is the default whatever that is.
    empty = {name for name, text in shown.items() if not text}
    assert empty == {name for name, value in defaults.items() if value in (None, (), "")}
