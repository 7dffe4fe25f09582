"""The plain way to serve the bundled model, which `benchmarks.service` measures ours against.

    python -m benchmarks.plain_service --port N

One FastAPI handler: decode, embed, predict, choose, answer. No queue, no store, no limits.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, File, Form

from segmenter.backends.compact.backend import CompactBackend
from segmenter.backends.postprocess import select
from segmenter.contract import Prompt
from segmenter.formats.decode import decode

# What `POST /segment` does without being asked.
NMS_IOU, MAX_MASKS = 0.5, 20


def plain_app() -> FastAPI:
    """Build the app around the model as it is bundled."""
    app, backend = FastAPI(), CompactBackend()

    @app.get("/health/live")
    def live() -> dict[str, str]:
        return {"status": "live"}

    @app.post("/segment")
    def segment(image: Annotated[bytes, File()], concept: Annotated[str, Form()]) -> dict[str, Any]:
        embedding = backend.embed(decode(image).pixels)
        (prediction,) = backend.predict(embedding, [Prompt(text=concept)], threshold=None)
        threshold = backend.capabilities.threshold_of(prediction.concept)
        found = select(prediction, threshold=threshold, nms_iou=NMS_IOU, max_masks=MAX_MASKS)
        return found.model_dump()

    return app


def main(argv: Sequence[str] | None = None) -> int:
    """Serve on the loopback until stopped."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plain_service")
    parser.add_argument("--port", type=int, required=True)
    asked = parser.parse_args(argv)
    uvicorn.run(plain_app(), port=asked.port, log_level="warning", access_log=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
