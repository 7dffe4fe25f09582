"""Builds the configured adapter; the entry points call it with explicit values."""

from typing import Literal

from pydantic import SecretStr

from agent.mllm.client import JsonClient
from agent.mllm.contract import Mllm
from agent.mllm.egress import Egress, check_egress

_GEMINI_URL = "https://generativelanguage.googleapis.com"
_OPENAI_URL = "https://api.openai.com/v1"


def build_mllm(
    kind: Literal["gemini", "openai"],
    *,
    model: str,
    api_key: SecretStr,
    base_url: str | None = None,
    egress: Egress = "off",
    private_servers: bool = True,
    timeout_s: float = 90.0,
    retries: int = 2,
) -> Mllm:
    """Build the adapter for a server that pictures may go to.

    Args:
        kind: which wire the server speaks.
        model: name as the server knows it; never a default of ours.
        api_key: secret; any word for local servers that need none.
        base_url: None for the maker's own address. Gemini's without, OpenAI's with the version.
        egress: whether rendered PNG may leave the network; see `agent.mllm.egress`.
        private_servers: whether servers of the own network may be used.
        timeout_s: per read of one attempt.
        retries: how often the SDK repeats a failed request.

    Raises:
        EgressForbidden: the server stands where pictures may not go.
    """
    # The SDKs take a second to import; a process that plans by rules never pays it.
    if kind == "gemini":
        check_egress(egress, base_url or _GEMINI_URL, private_servers=private_servers)
        from agent.mllm.gemini import Gemini

        return JsonClient(
            Gemini(
                model=model,
                api_key=api_key,
                base_url=base_url or _GEMINI_URL,
                timeout_s=timeout_s,
                attempts=retries + 1,
            )
        )
    check_egress(egress, base_url or _OPENAI_URL, private_servers=private_servers)
    from agent.mllm.openai_chat import OpenAiChat

    return JsonClient(
        OpenAiChat(
            model=model,
            api_key=api_key,
            base_url=base_url or _OPENAI_URL,
            timeout_s=timeout_s,
            retries=retries,
        )
    )
