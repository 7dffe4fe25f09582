"""Builds the configured adapter; the entry points call it with explicit values."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Literal

from pydantic import SecretStr

from agent.mllm.client import JsonClient
from agent.mllm.contract import Mllm
from agent.mllm.egress import Egress, check_egress
from agent.mllm.servers import Azure, Vertex, address_of

if TYPE_CHECKING:
    from agent.mllm.gemini import VertexProject


def build_mllm(
    kind: Literal["gemini", "openai"],
    *,
    model: str,
    api_key: SecretStr,
    base_url: str | None = None,
    vertex: Vertex | None = None,
    azure: Azure | None = None,
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
        base_url: None for the maker's own address. Gemini's without the version, OpenAI's with it,
            Azure's endpoint.
        vertex: for Gemini on Vertex AI; no key is needed then.
        azure: for a deployment on Azure OpenAI.
        egress: whether rendered PNG may leave the network; see `agent.mllm.egress`.
        private_servers: whether servers of the own network may be used.
        timeout_s: per read of one attempt.
        retries: how often the SDK repeats a failed request.

    Raises:
        EgressForbidden: the server, or who gives tokens for it, stands where nothing may go.
        PlannerNotConfigured: the key file of a service account is none.
    """
    url = address_of(kind, base_url, vertex)
    check_egress(egress, url, private_servers=private_servers)
    # The SDKs take a second to import; a process that plans by rules never pays it.
    if kind == "gemini":
        from agent.mllm.gemini import Gemini

        check_tokens = partial(check_egress, egress, private_servers=private_servers)
        return JsonClient(
            Gemini(
                model=model,
                api_key=api_key,
                base_url=url,
                timeout_s=timeout_s,
                attempts=retries + 1,
                vertex=None if vertex is None else _vertex_project(vertex, check_tokens),
            )
        )
    from agent.mllm.openai_chat import OpenAiChat

    return JsonClient(
        OpenAiChat(
            model=model,
            api_key=api_key,
            base_url=url,
            timeout_s=timeout_s,
            retries=retries,
            azure=azure,
        )
    )


def _vertex_project(vertex: Vertex, check: Callable[[str], object]) -> "VertexProject":
    """Return a project with its credentials, once `check` lets the address of its tokens pass."""
    from agent.mllm.gemini import VertexProject
    from agent.mllm.vertex import VertexCredentials, read_key_file, token_url

    key = None if vertex.key_file is None else read_key_file(vertex.key_file)
    check(token_url(key))
    return VertexProject(vertex.project, vertex.location, VertexCredentials(key))
