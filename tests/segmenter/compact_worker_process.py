"""The bundled model's worker: python -m tests.segmenter.compact_worker_process URL SETTINGS."""

import asyncio
import signal
import sys

from segmenter.backends.compact.backend import CompactBackend
from segmenter.formats.limits import Limits
from segmenter.services import decoder, run_worker
from segmenter.settings import SegmenterSettings


async def main(url: str, settings: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    chosen = SegmenterSettings.model_validate_json(settings)
    await run_worker(url, CompactBackend(threads=1), decoder(Limits()), chosen, stop=stop)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
