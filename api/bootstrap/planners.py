"""Which planners the settings allow: the rules always, an MLLM when complete and permitted."""

from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import SecretStr

from agent.errors import EgressForbidden
from agent.mllm.contract import Mllm
from agent.mllm.egress import Place, place_of
from agent.mllm.factory import build_mllm
from api.settings import Settings, SettingsError, variable

Kind = Literal["gemini", "openai"]
KINDS: tuple[Kind, ...] = ("gemini", "openai")
# Local servers ask for none, but the SDK wants one.
NO_KEY = SecretStr("none")
# Without a base URL the maker's own server is asked.
OUTSIDE = "https://api.openai.com"


def build_mllms(settings: Settings) -> Mapping[Kind, Mllm]:
    """Build every MLLM that is fully set up and that data may go to; the caller closes them.

    Raises:
        SettingsError: the default planner is not among them, and why.
    """
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
                raise SettingsError(f"{error}; {_allowance(settings)} allows it") from error
    return built


def is_guarded(settings: Settings, kind: Kind) -> bool:
    """Tell whether an MLLM stands outside and may see no picture that may show a name."""
    inside = kind == "openai" and place_of(settings.openai_base_url or OUTSIDE) is not Place.OUTSIDE
    return settings.burned_in == "refuse" and not inside


def _allowance(settings: Settings) -> str:
    url = settings.openai_base_url
    if url is not None and place_of(url) is Place.PRIVATE:
        return f"{variable('private_servers')}=true"
    return f"{variable('egress')}=deidentified"


def missing(settings: Settings, kind: Kind) -> list[str]:
    """Return the fields an MLLM still needs."""
    if kind == "gemini":
        fields = {"gemini_model": settings.gemini_model, "gemini_api_key": settings.gemini_api_key}
    else:
        key = settings.openai_api_key or settings.openai_base_url
        fields = {"openai_model": settings.openai_model, "openai_api_key": key}
    return [name for name, value in fields.items() if not value]


def build(settings: Settings, kind: Kind) -> Mllm:
    """Build one MLLM.

    Raises:
        EgressForbidden: data may not go where it stands.
    """
    if kind == "gemini":
        return build_mllm(
            "gemini",
            model=settings.gemini_model or "",
            api_key=settings.gemini_api_key or NO_KEY,
            egress=settings.egress,
            private_servers=settings.private_servers,
        )
    return build_mllm(
        "openai",
        model=settings.openai_model or "",
        api_key=settings.openai_api_key or NO_KEY,
        base_url=settings.openai_base_url,
        egress=settings.egress,
    )


async def close_all(mllms: Iterable[Mllm]) -> None:
    """Close their connections."""
    for mllm in mllms:
        await mllm.aclose()
