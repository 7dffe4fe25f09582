"""One stateless question to a multimodal language model, and its answer."""

from dataclasses import dataclass
from typing import Literal, Protocol

from agent.schemas.rounds import Usage


@dataclass(frozen=True)
class Picture:
    """A PNG to look at: freshly rendered from pixels, no metadata.

    Attributes:
        png: PNG bytes.
        width: pixels.
        height: pixels.
        caption: how the text refers to it.
    """

    png: bytes
    width: int
    height: int
    caption: str


@dataclass(frozen=True)
class Answer:
    """A checked answer: the JSON object as a dict of plain values, and what it cost."""

    content: dict[str, object]
    usage: Usage


class Mllm(Protocol):
    """A multimodal language model. Ours is `agent.mllm.client.JsonClient`."""

    @property
    def kind(self) -> Literal["gemini", "openai"]:
        """Which adapter this is."""
        ...

    @property
    def model(self) -> str:
        """The configured model name."""
        ...

    async def ask(
        self,
        *,
        system: str,
        text: str,
        pictures: tuple[Picture, ...],
        schema: dict[str, object],
        timeout_s: float,
    ) -> Answer:
        """Ask once, with the portable JSON schema, and return the JSON object of the answer.

        The object was extracted from whatever the model wrote and repaired at most once; it is
        not yet checked against our own models (that is `agent.planners.replies`).

        Raises:
            MllmUnavailable, MllmReplyError, MllmRefused.
        """
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...
