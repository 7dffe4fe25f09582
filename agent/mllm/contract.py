"""One stateless question to a multimodal language model, and its answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from agent.schemas.rounds import Usage

Read = TypeVar("Read")


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
class Answer(Generic[Read]):
    """What an answer says, and what it cost."""

    content: Read
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
        read: Callable[[object], Read],
        timeout_s: float,
    ) -> Answer[Read]:
        """Ask once, with the portable JSON schema, and return what the answer says.

        What does not fit is asked again, once.

        Args:
            system: the standing rules.
            text: the question.
            pictures: what is shown with it.
            schema: of the answer.
            read: makes an answer of a JSON value the model wrote; raises `Misfit`.
            timeout_s: for all of it.

        Raises:
            MllmUnavailable, MllmReplyError, MllmRefused: with what was spent.
        """
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...
