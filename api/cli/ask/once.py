"""One request in this process, about a picture or in a thread."""

from typing import NamedTuple

from api.bootstrap.parts import AppServices, open_parts
from api.bootstrap.setup import Setup
from api.cli.output import say
from api.operations import check_request
from api.render.runs import to_run_answer
from api.schemas.requests import AgentBody
from api.schemas.run_answers import RunAnswer
from segmenter.contract import ImageRef


class Asked(NamedTuple):
    """A run, and its masks drawn on the picture (PNG)."""

    answer: RunAnswer
    overlay: bytes


async def ask(setup: Setup, body: AgentBody, content: bytes | None) -> Asked:
    """Open everything, run a request, and close.

    Args:
        setup: where the stores are.
        body: the request.
        content: of the picture; None where the request names a thread.

    Raises:
        WeightsFault, InvalidFields, InputError, SegmenterError, AgentError.
    """
    inside = setup.settings.redis_url is None
    say("loading the model" if inside else "handing it to the service")
    async with open_parts(setup) as parts:
        image = None if content is None else await parts.images.put(content)
        if image is not None:
            say(f"{image.width} x {image.height} {image.format}; looking")
        return await ask_in(parts, body, image)


async def ask_in(parts: AppServices, body: AgentBody, image: ImageRef | None) -> Asked:
    """Run a request with what is open; see `ask`."""
    check_request(body, image)
    run = await parts.agent.run(body.to_request(image))
    return Asked(to_run_answer(run), await parts.agent.pictures.overlay_png(run.id))
