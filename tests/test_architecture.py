"""Who may import whom, and who owns which package: read from the sources, not from memory."""

import ast
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("segmenter", "agent", "api", "prompts", "benchmarks")

# Right side: our packages that the left side may import.
DIRECTION = {
    "prompts": (),
    "segmenter": ("segmenter",),
    "agent": ("agent", "segmenter", "prompts"),
    "api": ("api", "agent", "segmenter", "prompts"),
    "benchmarks": ("benchmarks", "api", "agent", "segmenter"),
}

# The agent talks to the segmenter through its contract, never to its queue, worker or models.
AGENT_MAY_SEE = (
    "segmenter.contract",
    "segmenter.errors",
    "segmenter.masks.components",
    "segmenter.masks.geometry",
    "segmenter.masks.rle",
    "segmenter.formats*",
    "segmenter.words*",
    "segmenter.queue.contract",
    "segmenter.queue.jobs",
    "segmenter.queue.messages",
    "segmenter.queue.settle",
)

OWNERS = {
    "torch": ("segmenter/backends/sam3*.py", "segmenter/training/*.py", "benchmarks/sam3/*.py"),
    "transformers": (
        "segmenter/backends/sam3*.py",
        "segmenter/training/*.py",
        "benchmarks/sam3/*.py",
    ),
    "peft": ("segmenter/backends/sam3*.py", "segmenter/training/*.py"),
    "safetensors": ("segmenter/backends/sam3*.py", "segmenter/training/*.py"),
    "huggingface_hub": ("segmenter/backends/sam3/weights/hub.py",),
    "ftfy": ("segmenter/backends/sam3/tokenizer.py",),
    "yaml": ("segmenter/backends/sam3/weights/lora.py",),
    "onnx": ("segmenter/training/*.py",),
    "onnxscript": ("segmenter/training/*.py",),
    "onnxruntime": ("segmenter/backends/compact/graphs.py",),
    "sqlalchemy": ("segmenter/storage/sql.py",),
    "redis": ("segmenter/*redis*.py",),
    "langgraph": ("agent/loop/graph.py",),
    "langchain_core": ("agent/loop/graph.py",),
    "langsmith": ("agent/loop/graph.py",),
    "google": ("agent/mllm/gemini.py",),
    "openai": ("agent/mllm/openai_chat.py",),
    # httpx2 is the SDKs' own transport: its errors pass through them unwrapped.
    "httpx2": ("agent/mllm/gemini.py", "agent/mllm/openai_chat.py"),
    "PIL": (
        "segmenter/formats/raster/image.py",
        "segmenter/formats/polygons.py",
        "segmenter/training/compact/augment.py",
        "agent/drawing/*.py",
        "benchmarks/evaluation/comparison.py",
    ),
    "pydicom": ("segmenter/formats/dicom*.py",),
    "fastapi": ("api/*.py", "api/routes/*.py"),
    "starlette": ("api/*.py", "api/routes/*.py"),
    "uvicorn": ("api/*.py",),
    "scipy": (
        "segmenter/masks/components.py",
        "segmenter/training/sam3/*.py",
        "agent/masks/quality.py",
        "benchmarks/evaluation/surfaces.py",
        "benchmarks/evaluation/summary.py",
    ),
    "monai": ("benchmarks/evaluation/surfaces.py", "benchmarks/evaluation/instances.py"),
    "matplotlib": ("benchmarks/evaluation/plots.py",),
    "rapidfuzz": ("segmenter/words/typos.py",),
    "tqdm": ("benchmarks/evaluation/runner.py",),
    "nibabel": ("segmenter/formats/nifti.py", "benchmarks/paper/nifti.py"),
    "av": ("segmenter/formats/video.py",),
}
# Owned by nobody: everyone may use them.
COMMON = {"numpy", "pydantic", "pydantic_core"}


def sources() -> list[Path]:
    return sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted module) of every import in a file, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            # `from agent import errors` names a module in its aliases.
            assert node.module is not None
            yield node.lineno, node.module
            if node.module in PACKAGES:
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_imports_go_from_api_to_agent_to_segmenter_only() -> None:
    wrong = [
        f"{relative(path)}:{line} imports {module}"
        for path in sources()
        for line, module in imports(path)
        if (home := module.split(".")[0]) in PACKAGES
        and home not in DIRECTION[path.relative_to(ROOT).parts[0]]
    ]
    assert wrong == []


def test_the_agent_sees_only_the_segmenters_contract() -> None:
    wrong = [
        f"{relative(path)}:{line} imports {module}"
        for path in (ROOT / "agent").rglob("*.py")
        for line, module in imports(path)
        if module.startswith("segmenter.")
        and not any(fnmatch(module, pattern) for pattern in AGENT_MAY_SEE)
    ]
    assert wrong == []


def test_a_third_party_package_is_imported_by_its_owner_only() -> None:
    wrong = []
    for path in sources():
        for line, module in imports(path):
            owners = OWNERS.get(module.split(".")[0])
            if owners and not any(fnmatch(relative(path), owner) for owner in owners):
                wrong.append(f"{relative(path)}:{line} imports {module}, owned by {owners}")
    assert wrong == []


def test_every_third_party_package_has_an_owner() -> None:
    import sys

    known = set(sys.stdlib_module_names) | set(PACKAGES) | set(OWNERS) | COMMON
    homeless = {
        f"{relative(path)}:{line} imports {module}"
        for path in sources()
        for line, module in imports(path)
        if module.split(".")[0] not in known
    }
    assert homeless == set()


def test_only_the_entry_points_read_the_environment() -> None:
    readers = [
        f"{relative(path)}:{node.lineno}"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr in ("environ", "getenv")
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        and path.relative_to(ROOT).parts[0] not in ("api", "benchmarks")
    ]
    assert readers == []


@pytest.mark.parametrize("path", sources(), ids=relative)
def test_a_module_says_in_its_first_line_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
