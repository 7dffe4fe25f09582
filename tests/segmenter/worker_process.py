"""A worker process: python -m tests.segmenter.worker_process URL SETTINGS DELAY_S."""

import asyncio
import signal
import sys

from segmenter.services import run_worker
from segmenter.settings import SegmenterSettings
from tests.doubles import ThresholdBackend, decode_raw


async def main(url: str, settings: str, delay_s: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    backend = ThresholdBackend(delay_s=float(delay_s))
    chosen = SegmenterSettings.model_validate_json(settings)
    await run_worker(url, backend, decode_raw, chosen, stop=stop)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
