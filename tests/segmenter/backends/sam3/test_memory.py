"""A worker that runs for long takes no more memory than one that has warmed up."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="SAM 3 needs the extra 'sam3'")
pytest.importorskip("peft", reason="SAM 3 needs the extra 'sam3'")

from segmenter.backends.sam3.backend import Sam3Backend
from segmenter.contract import Box, BoxPrompt, Prompt, SegmentRequest
from segmenter.services import open_embedded
from segmenter.settings import QueueSettings, SegmenterSettings, WorkerSettings
from tests.doubles import decode_raw, encode_raw
from tests.segmenter.backends.sam3.vectors import needs_vectors

REQUESTS, WARM = 1000, 300
PICTURES = 40
# Thirty embeddings of the tiny model: less than there are pictures, so that some go.
KEPT_BYTES = 30 * 144 * 64 * 4
# Allocators and interned strings move a little; one leaked embedding or answer of masks in each
# of the 700 requests would be 25 MiB at least.
SLACK_BYTES = 12 * 2**20


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


@needs_vectors
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads memory from /proc")
def test_a_thousand_requests_leave_memory_flat(adapted):
    backend = Sam3Backend(adapted, weights_id="tiny")
    settings = SegmenterSettings(
        queue=QueueSettings(poll_s=0.05), worker=WorkerSettings(max_embeddings_bytes=KEPT_BYTES)
    )
    rng = np.random.default_rng(3)
    box = BoxPrompt(box=Box(x0=2, y0=2, x1=20, y1=20))

    async def within() -> tuple[int, int]:
        warm = 0
        async with open_embedded(backend, decode_raw, settings) as services:
            pictures = [
                await services.images.put(
                    encode_raw(rng.integers(0, 256, (32, 40, 3), dtype=np.uint8))
                )
                for _ in range(PICTURES)
            ]
            for number in range(REQUESTS):
                if number == WARM:
                    warm = resident_bytes()
                text = Prompt(text=f"mass {number}")
                request = SegmentRequest(
                    image=pictures[number % PICTURES],
                    prompts=(text, Prompt(boxes=(box,))) if number % 7 == 0 else (text,),
                    threshold=0.3,
                    adapter=("medsam3", "base")[number % 2],
                )
                await services.segmenter.segment(request, timeout_s=30.0)
        return warm, resident_bytes()

    warm, last = asyncio.run(within())
    assert last - warm < SLACK_BYTES, f"{warm / 2**20:.1f} to {last / 2**20:.1f} MiB"
