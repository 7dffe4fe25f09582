"""Times SAM 3 at full size with random weights: kept embeddings against encoding every time.

python -m benchmarks.sam3 --tokenizer DIR [--vision bfloat16] [--detector bfloat16] [--device cuda]
python -m benchmarks.sam3 --tokenizer DIR --differences     what bfloat16 changes in the answers
"""

import argparse
import asyncio
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.sam3.random_weights import (
    DTYPES,
    Precision,
    compare_precisions,
    finish,
    gpu_peak_bytes,
    random_backend,
)
from segmenter.backends.sam3.backend import Sam3Backend
from segmenter.contract import Prompt, RgbImage, SegmentRequest
from segmenter.formats.limits import DEFAULT_LIMITS
from segmenter.formats.raster.image import encode_png
from segmenter.services import decoder, open_embedded
from segmenter.settings import SegmenterSettings

WORDS = ("mass", "shadow behind the mass", "cyst", "vessel")
ROUNDS = 3
BATCHES = (1, 4, 16)
KIB_PER_GIB = 2**20
BYTES_PER_GIB = 2**30
# A first call on a GPU chooses kernels.
WARM_UP = 1
TIMEOUT_S = 3600.0
PRECISIONS = (
    Precision("bfloat16", "float32"),
    Precision("bfloat16", "bfloat16"),
    Precision("float32", "bfloat16"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sam3")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder of tokenizer.json")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--vision", choices=DTYPES, default="bfloat16")
    parser.add_argument("--detector", choices=DTYPES, default="float32")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--compile", action="store_true", help="of the vision encoder")
    parser.add_argument("--differences", action="store_true", help="of precisions, and no times")
    asked = parser.parse_args(argv)
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    if asked.differences:
        _print_differences(asked.tokenizer, asked.device, image)
        return 0
    started = time.perf_counter()
    backend = random_backend(
        asked.tokenizer,
        device=asked.device,
        precision=Precision(asked.vision, asked.detector),
        compiled=asked.compile,
    )
    print(f"{asked.device}, vision {asked.vision}, rest {asked.detector}, median of {asked.repeat}")
    _print("load", time.perf_counter() - started, "s")
    times = measure(backend, image, asked.repeat, batches=BATCHES if asked.device != "cpu" else ())
    for name, seconds in times.items():
        _print(name, seconds, "s")
    shot = times["one shot: encode and one prompt"]
    _print("three rounds over one shot", times["three rounds, encoded once"] / shot, "x")
    for name, seconds in asyncio.run(through_worker(backend, image)).items():
        _print(name, seconds, "s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_GIB
    _print("peak memory of the process", peak, "GiB")
    _print("peak memory of the GPU", gpu_peak_bytes() / BYTES_PER_GIB, "GiB")
    return 0


def measure(
    backend: Sam3Backend, image: RgbImage, repeat: int, *, batches: Sequence[int]
) -> dict[str, float]:
    """Return median seconds of each way to ask about one picture.

    Args:
        backend: at any size.
        image: uint8, shape (H, W, 3), RGB.
        repeat: calls of each way.
        batches: numbers of prompts in a request that encodes its picture.
    """
    prompts = [Prompt(text=text) for text in WORDS]
    kept = backend.embed(image)

    def encode() -> None:
        backend.embed(image)
        finish()

    def ask(count: int) -> None:
        backend.predict(kept, prompts[:count], threshold=None)

    def shot(count: int) -> None:
        many = [prompts[number % len(prompts)] for number in range(count)]
        backend.predict(backend.embed(image), many, threshold=None)

    def rounds(*, naive: bool) -> None:
        embedding = backend.embed(image)
        for number, prompt in enumerate(prompts[:ROUNDS]):
            if naive and number:
                embedding = backend.embed(image)
            backend.predict(embedding, [prompt], threshold=None)

    ways: dict[str, Callable[[], None]] = {
        "encode": encode,
        "one prompt, picture encoded": lambda: ask(1),
        "four prompts as one batch, picture encoded": lambda: ask(4),
        "one shot: encode and one prompt": lambda: shot(1),
        "three rounds, encoded once": lambda: rounds(naive=False),
        "three rounds, encoded every time": lambda: rounds(naive=True),
    }
    ways |= {f"a request with {count} prompts": partial(shot, count) for count in batches}
    return {name: _median(way, repeat) for name, way in ways.items()}


async def through_worker(backend: Sam3Backend, image: RgbImage) -> dict[str, float]:
    """Return seconds of two requests on one new picture through queue, worker and stores."""
    seconds: dict[str, float] = {}
    opened = open_embedded(backend, decoder(DEFAULT_LIMITS), SegmenterSettings())
    async with opened as services:
        ref = await services.images.put(encode_png(image))
        for name in ("first request through the worker", "second request on its picture"):
            request = SegmentRequest(image=ref, prompts=(Prompt(text=WORDS[0]),))
            started = time.perf_counter()
            result = await services.segmenter.segment(request, timeout_s=TIMEOUT_S)
            assert result.embedding_cached is bool(seconds)
            seconds[name] = time.perf_counter() - started
    return seconds


def _print_differences(tokenizer: Path, device: str, image: RgbImage) -> None:
    print(f"{device}, largest difference from float32 over 200 queries of {len(WORDS)} prompts")
    found = compare_precisions(
        tokenizer, device=device, image=image, phrases=WORDS, others=PRECISIONS
    )
    for precision, told in found.items():
        changes = f"boxes {told.boxes:.4f} of the side, score {told.score:.4f}"
        print(f"vision {precision.vision}, rest {precision.detector}: {changes}, ", end="")
        print(f"{100 * told.mask_pixels:.2f} % of mask pixels")


def _print(name: str, value: float, unit: str) -> None:
    print(f"{name:44}{value:9.3f} {unit}", flush=True)


def _median(call: Callable[[], object], repeat: int) -> float:
    seconds = []
    for number in range(WARM_UP + repeat):
        started = time.perf_counter()
        call()
        if number >= WARM_UP:
            seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


if __name__ == "__main__":
    sys.exit(main())
