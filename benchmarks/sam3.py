"""Times SAM 3 at full size with random weights: kept embeddings against encoding every time.

python -m benchmarks.sam3 --tokenizer DIR [--vision bfloat16] [--detector bfloat16] [--device cuda]
"""

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from segmenter.backends.sam3 import Sam3Backend
from segmenter.backends.sam3_random import DTYPES, random_backend
from segmenter.contract import Prompt

WORDS = ("mass", "shadow behind the mass", "cyst", "vessel")
ROUNDS = 3
KIB_PER_GIB = 2**20


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sam3")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder of tokenizer.json")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--vision", choices=DTYPES, default="bfloat16")
    parser.add_argument("--detector", choices=DTYPES, default="float32")
    parser.add_argument("--repeat", type=int, default=3)
    asked = parser.parse_args(argv)
    started = time.perf_counter()
    backend = random_backend(
        asked.tokenizer, device=asked.device, vision=asked.vision, detector=asked.detector
    )
    print(f"{asked.device}, vision {asked.vision}, rest {asked.detector}, median of {asked.repeat}")
    print(f"{'load':44}{time.perf_counter() - started:9.2f} s")
    for name, seconds in measure(backend, asked.repeat).items():
        print(f"{name:44}{seconds:9.2f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_GIB
    print(f"{'peak memory of the process':44}{peak:9.2f} GiB")
    return 0


def measure(backend: Sam3Backend, repeat: int) -> dict[str, float]:
    """Return median seconds of each way to ask about one picture."""
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    prompts = [Prompt(text=text) for text in WORDS]
    kept = backend.embed(image)

    def ask(count: int) -> None:
        backend.predict(kept, prompts[:count], threshold=None)

    def one_shot() -> None:
        backend.predict(backend.embed(image), prompts[:1], threshold=None)

    def rounds() -> None:
        embedding = backend.embed(image)
        for number in range(ROUNDS):
            backend.predict(embedding, prompts[number : number + 1], threshold=None)

    def naive() -> None:
        for number in range(ROUNDS):
            backend.predict(backend.embed(image), prompts[number : number + 1], threshold=None)

    return {
        "encode": _median(lambda: backend.embed(image), repeat),
        "one prompt, picture encoded": _median(lambda: ask(1), repeat),
        "four prompts as one batch, picture encoded": _median(lambda: ask(4), repeat),
        "one shot: encode and one prompt": _median(one_shot, repeat),
        "three rounds, encoded once": _median(rounds, repeat),
        "three rounds, encoded every time": _median(naive, repeat),
    }


def _median(call: Callable[[], object], repeat: int) -> float:
    seconds = []
    for _ in range(repeat):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


if __name__ == "__main__":
    sys.exit(main())
