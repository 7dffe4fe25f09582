"""Runs the commands of README and docs as written.

What is changed on the way: the address, for that of a service that these tests start, and `make`,
which is told that the packages are installed. Everything else is the page's own. Packages that the
installation shown for a block does not have are hidden from it.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.docs.blocks import Block, blocks_of, misses
from tests.paths import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUNNING = [page for page in PAGES if any(not block.reason for block in blocks_of(page.read_text()))]
# Made by whoever works here; commands must not need or change them.
LOCAL = {".git", ".venv", "out", "site", "build", "dist"}
ADDRESS = "http://127.0.0.1:8000"
INSTALLED = "make -o .venv/bin/python -o .venv/.base -o .venv/.dev -o .venv/.docs "
# Why a block of commands may be left out.
REASONS = {
    "it is this test",
    "runs until it is stopped",
    "runs for minutes",
    "installs packages",
    "needs data in ../shared",
    "needs a key",
    "needs weights",
    "needs docker",
    "needs a file of yours",
    "needs a local MLLM",
}
# Packages of an extra that nothing of the base installation brings along.
EXTRAS = {
    "evaluate": ("matplotlib", "tqdm"),
    "sam3": ("torch", "transformers", "peft", "safetensors", "huggingface_hub", "ftfy"),
    "train": ("torch", "onnx"),
    "postgres": ("psycopg",),
}
MARK = "@@ block "
START_S, PAGE_S = 60.0, 300.0


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks like a clone after `make demo`, and may be written into."""
    folder = tmp_path_factory.mktemp("checkout")
    for path in ROOT.iterdir():
        if path.name not in LOCAL:
            (folder / path.name).symlink_to(path)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    # A make above this one would have the one of a command say which folder it is in.
    foreign = ("MEDSAM3_", "MAKE", "MFLAGS")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


@pytest.fixture(scope="session")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders, one an extra, that make its packages look as if they were not installed."""
    folder = tmp_path_factory.mktemp("hidden")
    for extra, packages in EXTRAS.items():
        (folder / extra).mkdir()
        for name in packages:
            error = f"raise ModuleNotFoundError('No module named {name}', name='{name}')\n"
            (folder / extra / f"{name}.py").write_text(error)
    return folder


@pytest.fixture(scope="session")
def address(checkout: Path, environment: dict[str, str]) -> Iterator[str]:
    """A service with the bundled model, as `make serve` starts it."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [".venv/bin/medsam3", "serve", "--port", str(port)]
    env = {**environment, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=checkout, env=env, stderr=subprocess.DEVNULL) as run:
        yield _once_ready(f"http://127.0.0.1:{port}", run)
        run.terminate()


def _once_ready(address: str, run: "subprocess.Popen[bytes]") -> str:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and run.poll() is None:
        try:
            with urlopen(f"{address}/health/ready", timeout=5):
                return address
        except URLError:
            time.sleep(0.2)
    raise AssertionError("the service did not start")


@pytest.mark.parametrize("page", RUNNING, ids=lambda page: page.stem)
def test_the_commands_of_a_page_run_and_print_what_it_shows(
    page: Path, checkout: Path, environment: dict[str, str], hidden: Path, address: str
) -> None:
    blocks = [block for block in blocks_of(page.read_text()) if not block.reason]
    script = "".join(_script(block, hidden) for block in blocks)
    script = script.replace(ADDRESS, address).replace("make ", INSTALLED)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PAGE_S,
    )
    printed = dict(_by_line(done.stdout.replace(address, ADDRESS)))
    assert done.returncode == 0, f"line {list(printed)[-1]} of {page.name}: {done.stderr[-2000:]}"
    for block in blocks:
        missed = block.answer and misses(block.answer, printed[block.line])
        assert not missed, f"line {block.line} of {page.name}: {missed} in {printed[block.line]}"


def _script(block: Block, hidden: Path) -> str:
    folders = [hidden / extra for extra in EXTRAS if extra != block.extra]
    path = os.pathsep.join(map(str, [*folders, ROOT]))
    return f"echo '{MARK}{block.line}'\nexport PYTHONPATH='{path}'\n{block.commands}"


def _by_line(printed: str) -> Iterator[tuple[int, str]]:
    for part in printed.split(MARK)[1:]:
        line, _, text = part.partition("\n")
        yield int(line), text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_is_not_run_says_why(page: Path) -> None:
    kept = [(block.line, block.reason) for block in blocks_of(page.read_text()) if block.reason]
    assert [line_and_reason for line_and_reason in kept if line_and_reason[1] not in REASONS] == []
