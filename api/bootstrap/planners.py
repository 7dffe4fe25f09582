"""Which planners the settings allow: the rules always, an MLLM when complete and permitted."""

from collections.abc import Iterable, Mapping
from typing import Literal
from urllib.parse import urlsplit

from pydantic import SecretStr

from agent.errors import EgressForbidden, PlannerNotConfigured
from agent.mllm.contract import Mllm
from agent.mllm.egress import Place, place_of
from agent.mllm.factory import build_mllm
from agent.mllm.servers import Azure, Vertex, address_of
from api.settings import Settings, SettingsError, variable

Kind = Literal["gemini", "openai"]
KINDS: tuple[Kind, ...] = ("gemini", "openai")
# Local servers ask for none, but the SDK wants one.
NO_KEY = SecretStr("none")


def build_mllms(settings: Settings) -> Mapping[Kind, Mllm]:
    """Build every MLLM that is fully set up and that data may go to; the caller closes them.

    Raises:
        SettingsError: the default planner is not among them, and why.
    """
    refuse_contradictions(settings)
    built: dict[Kind, Mllm] = {}
    for kind in KINDS:
        names = missing(settings, kind)
        is_default = kind == settings.planner
        if names and is_default:
            needs = " and ".join(map(variable, names))
            raise SettingsError(f"{variable('planner')}={kind} needs {needs}")
        if names:
            continue
        try:
            built[kind] = build(settings, kind)
        except EgressForbidden as error:
            if is_default:
                raise SettingsError(f"{error}; {_allowance(settings, kind)} allows it") from error
        except PlannerNotConfigured as error:
            if is_default:
                raise SettingsError(f"{variable('vertex_credentials')}: {error}") from error
    return built


def refuse_contradictions(settings: Settings) -> None:
    """Refuse settings of a server of which another part is missing, or that name two.

    Raises:
        SettingsError: names them.
    """
    if settings.azure_endpoint and settings.openai_base_url:
        both = f"{variable('azure_endpoint')} and {variable('openai_base_url')}"
        raise SettingsError(f"{both} name two servers; set one of them")
    for name, needed in (
        ("vertex_credentials", "vertex_project"),
        ("azure_deployment", "azure_endpoint"),
    ):
        if getattr(settings, name) and not getattr(settings, needed):
            raise SettingsError(f"{variable(name)} needs {variable(needed)}")


def address(settings: Settings, kind: Kind) -> str:
    """Return the address at which an MLLM is asked."""
    if kind == "gemini":
        return address_of(kind, settings.gemini_base_url, _vertex(settings))
    return address_of(kind, settings.azure_endpoint or settings.openai_base_url)


def describe(settings: Settings, kind: Kind) -> str:
    """Say who is asked where: the model, the service and its host."""
    host = urlsplit(address(settings, kind)).hostname
    if kind == "gemini":
        service = "" if settings.vertex_project is None else " on Vertex AI"
        return f"{settings.gemini_model}{service} at {host}"
    service = "" if settings.azure_endpoint is None else " on Azure OpenAI"
    return f"{settings.openai_model or settings.azure_deployment}{service} at {host}"


def is_guarded(settings: Settings, kind: Kind) -> bool:
    """Tell whether an MLLM stands outside and may see no picture that may show a name."""
    outside = place_of(address(settings, kind)) is Place.OUTSIDE
    return settings.burned_in == "refuse" and outside


def _allowance(settings: Settings, kind: Kind) -> str:
    if place_of(address(settings, kind)) is Place.PRIVATE:
        return f"{variable('private_servers')}=true"
    return f"{variable('egress')}=deidentified"


def _vertex(settings: Settings) -> Vertex | None:
    if settings.vertex_project is None:
        return None
    return Vertex(
        settings.vertex_project, settings.vertex_location, key_file=settings.vertex_credentials
    )


def missing(settings: Settings, kind: Kind) -> list[str]:
    """Return the fields an MLLM still needs."""
    fields: dict[str, object]
    if kind == "gemini":
        who = settings.gemini_api_key or settings.vertex_project or settings.gemini_base_url
        fields = {"gemini_model": settings.gemini_model, "gemini_api_key": who}
    elif settings.azure_endpoint is not None:
        fields = {name: getattr(settings, name) for name in ("azure_deployment", "azure_api_key")}
    else:
        key = settings.openai_api_key or settings.openai_base_url
        fields = {"openai_model": settings.openai_model, "openai_api_key": key}
    return [name for name, value in fields.items() if not value]


def build(settings: Settings, kind: Kind) -> Mllm:
    """Build one MLLM.

    Raises:
        EgressForbidden: data may not go where it stands.
        PlannerNotConfigured: its credentials cannot be read.
    """
    url = address(settings, kind)
    if kind == "gemini":
        return build_mllm(
            "gemini",
            model=settings.gemini_model or "",
            api_key=settings.gemini_api_key or NO_KEY,
            base_url=url,
            vertex=_vertex(settings),
            egress=settings.egress,
            private_servers=settings.private_servers,
        )
    azure, key = None, settings.openai_api_key
    if settings.azure_endpoint is not None:
        azure = Azure(settings.azure_deployment or "", settings.azure_api_version)
        key = settings.azure_api_key
    return build_mllm(
        "openai",
        model=settings.openai_model or settings.azure_deployment or "",
        api_key=key or NO_KEY,
        base_url=url,
        azure=azure,
        egress=settings.egress,
        private_servers=settings.private_servers,
    )


async def close_all(mllms: Iterable[Mllm]) -> None:
    """Close their connections."""
    for mllm in mllms:
        await mllm.aclose()
