"""What schemathesis is told of this service: refusals that no schema can foresee."""

import schemathesis
from schemathesis.specs.openapi.checks import positive_data_acceptance

# What a file holds, what planners are set up, and what was asked before.
KINDS = {
    "urn:medsam3:problem:" + slug
    for slug in (
        "unsupported-image",
        "broken-image",
        "image-too-large",
        "picture-gone",
        "planner-not-configured",
        "idempotency-key-reused",
    )
}
# What there is to choose from is in the files.
CHOICES = {"series", "volume", "preset"}
# Of one number by another, of a text by its decoder, of a place by the picture it is in.
REASONS = (
    "a box needs x1 > x0 and y1 > y0",
    "not base64",
    "a data URI must be base64",
    "lies outside",
    "is outside",
    "the last frame",
    "this model",
    "a mask of",
    "not both",
    "holds another image",
    "is not part of this thread",
    "covers less than",
    "with several concepts use prompts",
)
# Fields of a form whose text is JSON.
JSON_FIELDS = ("prompts", "edits")


@schemathesis.check
def what_the_schema_allows_is_accepted(ctx, response, case) -> None:
    """Hold to schemathesis's own check whatever a schema could have said."""
    if response.status_code >= 400 and _is_unforeseeable(response.json(), case.media_type or ""):
        return
    positive_data_acceptance(ctx, response, case)


def _is_unforeseeable(problem: dict, media_type: str) -> bool:
    faults = problem["errors"]
    is_form = media_type.startswith("multipart/")
    return problem["type"] in KINDS or any(
        fault["field"] in CHOICES
        or any(reason in fault["message"] for reason in REASONS)
        or (is_form and fault["field"].startswith(JSON_FIELDS))
        for fault in faults
    )
