"""What of a picture an outside model may see: nothing that may show who the patient is. Pure."""

from dataclasses import replace

import numpy as np

from agent.contract import PlanQuestion
from agent.errors import PictureWithheld


def redact(question: PlanQuestion) -> PlanQuestion:
    """Return the question with the margins of its picture blackened, where they may hold text.

    The size stays, so that boxes mean the same. The tool gets the picture as it is.

    Raises:
        PictureWithheld: nothing says where the text may be.
    """
    image = question.image
    if not image.may_show_name:
        return question
    if image.region is None:
        raise PictureWithheld(reason="the picture may show a name, and nothing says where")
    x0, y0, x1, y1 = image.region
    pixels = np.zeros_like(question.pixels)
    pixels[y0:y1, x0:x1] = question.pixels[y0:y1, x0:x1]
    return replace(question, pixels=pixels)
