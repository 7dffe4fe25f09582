"""Where the makers' models stand: their own addresses, Vertex AI, Azure OpenAI. Pure."""

from pathlib import Path
from typing import Literal, NamedTuple

GEMINI_URL = "https://generativelanguage.googleapis.com"
OPENAI_URL = "https://api.openai.com/v1"
# Source: google-genai 3.4.0, `_MULTI_REGIONAL_LOCATIONS`.
_MULTI_REGIONS = frozenset({"us", "eu"})


class Vertex(NamedTuple):
    """A project on Vertex AI.

    Attributes:
        location: ``global``, a multi-region or a region.
        key_file: of a service account; None for Application Default Credentials.
    """

    project: str
    location: str
    key_file: Path | None = None

    @property
    def url(self) -> str:
        """The address of its location, as Google documents it."""
        if self.location == "global":
            return "https://aiplatform.googleapis.com"
        if self.location in _MULTI_REGIONS:
            return f"https://aiplatform.{self.location}.rep.googleapis.com"
        return f"https://{self.location}-aiplatform.googleapis.com"


class Azure(NamedTuple):
    """A model on Azure OpenAI: the name it is deployed under, and the version of the API."""

    deployment: str
    api_version: str


def address_of(
    kind: Literal["gemini", "openai"], base_url: str | None, vertex: Vertex | None = None
) -> str:
    """Return the address that is asked: the one that is set, else the maker's own."""
    if base_url is not None:
        return base_url
    if kind == "openai":
        return OPENAI_URL
    return GEMINI_URL if vertex is None else vertex.url
