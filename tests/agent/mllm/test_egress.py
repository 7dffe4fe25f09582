import pytest
from pydantic import SecretStr

from agent.errors import EgressForbidden
from agent.mllm.egress import Place, check_egress, place_of
from agent.mllm.factory import build_mllm


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://localhost:11434/v1", Place.LOOPBACK),
        ("http://127.8.9.1", Place.LOOPBACK),
        ("http://[::1]:80/", Place.LOOPBACK),
        ("http://[::ffff:127.0.0.1]/", Place.LOOPBACK),
        ("http://10.1.2.3/v1", Place.PRIVATE),
        ("http://172.31.0.1", Place.PRIVATE),
        ("http://192.168.1.1", Place.PRIVATE),
        ("http://[fd00::1]/", Place.PRIVATE),
        ("http://ollama:11434/v1", Place.PRIVATE),
        ("http://gpu-1.internal/v1", Place.PRIVATE),
        ("http://VLLM.local", Place.PRIVATE),
        ("http://172.32.0.1", Place.OUTSIDE),
        ("http://8.8.8.8", Place.OUTSIDE),
        ("http://134744072/", Place.OUTSIDE),
        ("http://0x08080808/", Place.OUTSIDE),
        ("http://[::ffff:8.8.8.8]/", Place.OUTSIDE),
        ("http://169.254.169.254/", Place.OUTSIDE),
        ("http://0.0.0.0/", Place.OUTSIDE),
        ("https://api.openai.com/v1", Place.OUTSIDE),
        ("https://127.0.0.1@evil.example/", Place.OUTSIDE),
        ("https://localhost.evil.example/", Place.OUTSIDE),
        ("https://internal.example.com.", Place.OUTSIDE),
    ],
)
def test_the_place_of_a_server_is_told_by_its_name(url: str, place: Place) -> None:
    assert place_of(url) is place


@pytest.mark.parametrize("url", ["", "ftp://x", "/path", "http://", "http://[", "file:///etc/x"])
def test_what_is_no_address_is_forbidden(url: str) -> None:
    with pytest.raises(EgressForbidden):
        check_egress("deidentified", url)


def test_nothing_leaves_while_egress_is_off() -> None:
    with pytest.raises(EgressForbidden, match=r"may not leave for api.openai.com"):
        check_egress("off", "https://api.openai.com/v1")
    assert check_egress("deidentified", "https://api.openai.com/v1") is Place.OUTSIDE


def test_pictures_leave_encrypted_only() -> None:
    with pytest.raises(EgressForbidden, match="https only"):
        check_egress("deidentified", "http://api.openai.com/v1")


def test_servers_of_the_network_have_their_own_switch() -> None:
    assert check_egress("off", "http://10.0.0.5/v1") is Place.PRIVATE
    with pytest.raises(EgressForbidden, match="are off"):
        check_egress("deidentified", "http://10.0.0.5/v1", private_servers=False)
    assert check_egress("off", "http://127.0.0.1/v1", private_servers=False) is Place.LOOPBACK


@pytest.mark.parametrize("kind", ["gemini", "openai"])
def test_an_adapter_for_the_outside_cannot_be_built_while_egress_is_off(kind: str) -> None:
    with pytest.raises(EgressForbidden):
        build_mllm(kind, model="m", api_key=SecretStr("k"))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["gemini", "openai"])
def test_the_configured_adapter_is_built(kind: str) -> None:
    mllm = build_mllm(kind, model="m", api_key=SecretStr("k"), base_url="http://127.0.0.1:1/v1")  # type: ignore[arg-type]
    assert (mllm.kind, mllm.model) == (kind, "m")
