"""An API process: python -m tests.segmenter.api_process URL SETTINGS SHADE JOBS.

Uploads an image of its own, asks `JOBS` times at once, prints how many answers were right.
"""

import asyncio
import sys

from segmenter.contract import Prompt, SegmentRequest
from segmenter.services import open_redis
from segmenter.settings import SegmenterSettings
from tests.doubles import BRIGHT, bright_square, decode_raw, encode_raw


async def main(url: str, settings: str, shade: str, jobs: str) -> None:
    chosen = SegmenterSettings.model_validate_json(settings)
    async with open_redis(url, decode_raw, chosen) as services:
        ref = await services.images.put(encode_raw(bright_square(shade=int(shade))))
        request = SegmentRequest(image=ref, prompts=(Prompt(text=BRIGHT),))
        calls = [services.segmenter.segment(request, timeout_s=30) for _ in range(int(jobs))]
        results = await asyncio.gather(*calls)
        right = [r.image == ref and r.results[0].masks[0].area_px == 64 for r in results]
        sys.stdout.write(f"{sum(right)}\n")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
