"""From image bytes to masks, beside the bare graphs on the same views, in one run.

    python -m benchmarks.latency --image FILE --concept polyp [--repeats N] [--data DIR]

The difference between the lines is what decoding, resampling and cutting masks cost. With --data
every concept is timed on a test image that shows it, for concepts are looked at in different ways.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from statistics import median
from typing import NamedTuple

from segmenter.backends.compact.backend import WEIGHTS, CompactBackend, CompactEmbedding
from segmenter.contract import Box, BoxPrompt, Prompt
from segmenter.formats.decode import decode
from segmenter.training.dataset import read_rows, read_target

WARM_UP = 3


class Timing(NamedTuple):
    """Median and worst of repeated calls, milliseconds."""

    name: str
    median_ms: float
    worst_ms: float


def measure(name: str, call: Callable[[], object], repeats: int) -> Timing:
    """Time a call after some untimed ones."""
    for _ in range(WARM_UP):
        call()
    spent = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        spent.append((time.perf_counter() - start) * 1000)
    return Timing(name, median(spent), max(spent))


def timings(
    backend: CompactBackend, content: bytes, concept: str, repeats: int
) -> tuple[Timing, ...]:
    """Time the whole way, its parts and the bare graphs.

    Args:
        backend: loaded.
        content: bytes of an image file.
        concept: the text prompt; must be known to the backend.
        repeats: timed calls of each.
    """
    image = decode(content).pixels
    height, width = image.shape[:2]
    middle = Box(x0=width / 4, y0=height / 4, x1=width * 3 / 4, y1=height * 3 / 4)
    text = Prompt(text=concept)
    boxed = Prompt(text=concept, boxes=(BoxPrompt(box=middle),))
    embedding = backend.embed(image)

    def whole_way(prompt: Prompt) -> Callable[[], object]:
        return lambda: predict(backend, backend.embed(decode(content).pixels), prompt)

    calls: dict[str, Callable[[], object]] = {
        "bytes to masks, T": whole_way(text),
        "bytes to masks, T+I": whole_way(boxed),
        "decode the file": lambda: decode(content),
        "embed": lambda: backend.embed(image),
        "predict T, embedded": lambda: predict(backend, embedding, text),
        "predict T+I, embedded": lambda: predict(backend, embedding, boxed),
        "bare graphs, one view": backend.bare_call(),
    }
    return tuple(measure(name, call, repeats) for name, call in calls.items())


def concept_timings(backend: CompactBackend, data: Path, repeats: int) -> Iterator[Timing]:
    """Yield the whole way for each set and concept, in words, on its first test image with it.

    Args:
        backend: loaded.
        data: folder of <set>/manifest.csv.
        repeats: timed calls of each.
    """
    timed: set[tuple[str, str]] = set()
    for row in read_rows(data, "test"):
        if (row.dataset, row.concept) in timed or not read_target(row).any():
            continue
        timed.add((row.dataset, row.concept))
        content, prompt = row.image.read_bytes(), Prompt(text=row.concept)

        def ask(content: bytes = content, prompt: Prompt = prompt) -> object:
            return predict(backend, backend.embed(decode(content).pixels), prompt)

        yield measure(f"bytes to masks, T, {row.concept} ({row.dataset})", ask, repeats)


def predict(backend: CompactBackend, embedding: CompactEmbedding, prompt: Prompt) -> object:
    """Answer one prompt; threshold 0 so that a mask is made whatever the picture shows."""
    return backend.predict(embedding, [prompt], threshold=0.0)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency")
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--concept", required=True)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--data", type=Path, help="time every concept on an image of this folder")
    asked = parser.parse_args(argv)
    backend = CompactBackend(asked.weights, threads=asked.threads)
    content = asked.image.read_bytes()
    print(f"{asked.image.name}, {asked.threads} threads, median and worst of {asked.repeats}, ms")
    found = timings(backend, content, asked.concept, asked.repeats)
    others = concept_timings(backend, asked.data, asked.repeats) if asked.data else ()
    for timing in chain(found, others):
        print(f"{timing.name:56} {timing.median_ms:8.1f} {timing.worst_ms:8.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
