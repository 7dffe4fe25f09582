"""A worker process: python -m tests.segmenter.volumes.worker_process URL SETTINGS DELAY_S FILE.

Adds a line to FILE for each frame that it begins.
"""

import asyncio
import signal
import sys
from pathlib import Path

from segmenter.contract import RgbImage
from segmenter.services import run_worker
from segmenter.settings import SegmenterSettings
from tests.doubles import ThresholdBackend, decode_raw
from tests.segmenter.volumes.sequences import open_raw


class Telling(ThresholdBackend):
    """Notes which frame it begins: where its bright square starts."""

    def __init__(self, notes: Path, delay_s: float) -> None:
        super().__init__(delay_s=delay_s)
        self._notes = notes

    def embed(self, image: RgbImage) -> RgbImage:
        with self._notes.open("a") as lines:
            lines.write(f"{int(image[8, :, 0].argmax())}\n")
        return super().embed(image)


async def main(url: str, settings: str, delay_s: str, notes: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    chosen = SegmenterSettings.model_validate_json(settings)
    backend = Telling(Path(notes), float(delay_s))
    await run_worker(url, backend, decode_raw, chosen, stop=stop, opener=open_raw)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
