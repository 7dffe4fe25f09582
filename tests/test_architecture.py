"""Who may import whom, and who owns which package: read from the sources, not from memory.

One row a package, in `ROWS`. A row's name stands for the modules of that folder alone, and an
entry of `may` likewise; `a.*` stands for `a` and every package below it.
"""

import ast
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.paths import ROOT

PACKAGES = ("segmenter", "agent", "api", "prompts", "benchmarks")
LARGEST_FOLDER = 16
# As many files of one folder with one prefix are a package.
SAME_PREFIX = 4


class Row(NamedTuple):
    """What a package may import of ours, and which third-party packages are its own."""

    may: str = ""
    owns: str = ""


SEGMENTER = "segmenter.contract segmenter.errors"
ROWS: Mapping[str, Row] = {
    "prompts": Row(),
    "segmenter.contract": Row(),
    "segmenter.errors": Row(),
    "segmenter.settings": Row("segmenter.contract segmenter.memory_budget"),
    "segmenter.memory_budget": Row("segmenter.errors"),
    "segmenter.words": Row(owns="rapidfuzz"),
    "segmenter.masks": Row("segmenter.contract", "scipy"),
    "segmenter.measures": Row("segmenter.contract segmenter.masks", "scipy skimage"),
    "segmenter.redis_connection": Row("segmenter.errors", "redis"),
    "segmenter.formats": Row(
        f"{SEGMENTER} segmenter.formats.clips segmenter.formats.dicom"
        " segmenter.formats.dicom.series segmenter.formats.raster segmenter.formats.raster.tiff"
        " segmenter.formats.volumes",
        "PIL",
    ),
    "segmenter.formats.isolated": Row(),
    "segmenter.formats.clips": Row(f"{SEGMENTER} segmenter.formats", "av"),
    "segmenter.formats.volumes": Row(f"{SEGMENTER} segmenter.formats", "nibabel"),
    "segmenter.formats.dicom": Row(
        f"{SEGMENTER} segmenter.formats segmenter.formats.dicom.encoded",
        "pydicom",
    ),
    "segmenter.formats.dicom.encoded": Row(
        "segmenter.errors segmenter.formats segmenter.formats.dicom segmenter.formats.isolated"
        " segmenter.formats.raster",
        "pydicom gdcm",
    ),
    "segmenter.formats.dicom.series": Row(
        f"{SEGMENTER} segmenter.formats segmenter.formats.dicom", "pydicom"
    ),
    "segmenter.formats.raster": Row(
        f"{SEGMENTER} segmenter.formats segmenter.formats.raster.codestreams"
        " segmenter.formats.raster.tiff",
        "PIL",
    ),
    "segmenter.formats.raster.tiff": Row(
        f"{SEGMENTER} segmenter.formats segmenter.formats.raster"
        " segmenter.formats.raster.codestreams",
        "tifffile",
    ),
    # Imported by the program of a child process alone.
    "segmenter.formats.raster.codestreams": Row(
        f"{SEGMENTER} segmenter.formats segmenter.formats.isolated segmenter.formats.raster",
        "imagecodecs pillow_heif PIL",
    ),
    "segmenter.queue": Row(f"{SEGMENTER} segmenter.settings"),
    "segmenter.queue.redis": Row(
        f"{SEGMENTER} segmenter.queue segmenter.redis_connection segmenter.settings"
        " segmenter.storage",
        "redis",
    ),
    "segmenter.storage": Row(
        f"{SEGMENTER} segmenter.memory_budget segmenter.redis_connection", "sqlalchemy redis"
    ),
    "segmenter.backends": Row(f"{SEGMENTER} segmenter.masks segmenter.formats"),
    "segmenter.backends.compact": Row(
        f"{SEGMENTER} segmenter.backends segmenter.masks segmenter.words", "onnxruntime"
    ),
    "segmenter.backends.sam3": Row(
        f"{SEGMENTER} segmenter.backends segmenter.masks segmenter.formats segmenter.settings"
        " segmenter.backends.sam3.weights",
        "torch transformers peft safetensors ftfy",
    ),
    "segmenter.backends.sam3.weights": Row(
        "segmenter.backends.sam3",
        "torch transformers safetensors peft huggingface_hub yaml",
    ),
    "segmenter.volumes": Row(
        f"{SEGMENTER} segmenter.backends segmenter.formats segmenter.formats.volumes"
        " segmenter.masks segmenter.measures segmenter.memory_budget segmenter.queue"
        " segmenter.storage"
    ),
    "segmenter.prompt_checks": Row(f"{SEGMENTER} segmenter.masks"),
    "segmenter.measuring": Row(
        f"{SEGMENTER} segmenter.masks segmenter.measures segmenter.memory_budget"
    ),
    "segmenter.client": Row(f"{SEGMENTER} segmenter.prompt_checks segmenter.queue"),
    "segmenter.worker": Row(
        "segmenter.contract segmenter.backends segmenter.memory_budget segmenter.prompt_checks"
        " segmenter.queue segmenter.settings segmenter.storage segmenter.volumes"
    ),
    "segmenter.services": Row(
        "segmenter.contract segmenter.backends segmenter.client segmenter.formats"
        " segmenter.memory_budget segmenter.queue segmenter.queue.redis segmenter.settings"
        " segmenter.storage segmenter.volumes segmenter.worker"
    ),
    "segmenter.training": Row("segmenter.*"),
    "segmenter.training.compact": Row("segmenter.*", "torch onnx PIL scipy"),
    "segmenter.training.compact.calibration": Row("segmenter.*", "scipy"),
    "segmenter.training.sam3": Row("segmenter.*", "torch transformers peft safetensors"),
    "agent.schemas": Row("segmenter.contract"),
    "agent.errors": Row("agent.schemas"),
    "agent.settings": Row("agent.schemas segmenter.contract"),
    "agent.contract": Row("agent.schemas segmenter.contract"),
    "agent.language": Row(
        "agent.language.reading agent.schemas segmenter.contract segmenter.words"
    ),
    "agent.language.reading": Row(
        "agent.language agent.schemas segmenter.contract segmenter.words"
    ),
    "agent.masks": Row("agent.schemas segmenter.contract segmenter.masks", "scipy skimage"),
    "agent.policy": Row(
        "agent.contract agent.language agent.masks agent.schemas segmenter.contract segmenter.masks"
    ),
    "agent.drawing": Row("segmenter.contract segmenter.masks", "PIL"),
    "agent.mllm": Row("agent.errors agent.mllm.json agent.schemas", "google openai httpx2"),
    "agent.mllm.json": Row("agent.errors"),
    "agent.planners": Row(
        "agent.contract agent.drawing agent.errors agent.language agent.masks agent.mllm"
        " agent.mllm.json agent.planners.reading agent.policy agent.schemas segmenter.contract"
        " segmenter.masks"
    ),
    "agent.planners.reading": Row("agent.language agent.mllm agent.mllm.json segmenter.contract"),
    "agent.conversation": Row(
        "agent.errors agent.language agent.masks agent.planners agent.policy agent.schemas"
        " segmenter.contract segmenter.masks"
    ),
    "agent.answers": Row(
        "agent.language agent.masks agent.planners agent.schemas segmenter.contract segmenter.masks"
        " segmenter.measures"
    ),
    "agent.loop": Row(
        "agent.contract agent.conversation agent.errors agent.language agent.masks agent.planners"
        f" agent.policy agent.schemas agent.settings {SEGMENTER} segmenter.masks",
        "langgraph langchain_core langsmith",
    ),
    "agent.runs": Row(
        "agent.answers agent.contract agent.conversation agent.drawing agent.errors agent.language"
        " agent.loop"
        f" agent.planners agent.schemas agent.settings {SEGMENTER} segmenter.masks"
        " segmenter.formats.raster segmenter.measuring segmenter.memory_budget segmenter.queue"
    ),
    "agent.service": Row("agent.* segmenter.queue"),
    "agent.queued": Row(f"agent.* {SEGMENTER} segmenter.queue"),
    "api": Row(),
    "api.__main__": Row("api.cli"),
    "api.errors": Row(),
    "api.json_logs": Row(),
    "api.machine_memory": Row(),
    "api.settings": Row(
        "api.machine_memory segmenter.contract segmenter.memory_budget segmenter.settings"
    ),
    "api.problem_kinds": Row("agent.errors api.errors segmenter.errors"),
    "api.bootstrap": Row("agent.* segmenter.* api.settings"),
    "api.schemas": Row("agent.schemas api.errors segmenter.contract segmenter.volumes"),
    "api.render": Row(
        "agent.runs agent.schemas api api.problem_kinds api.schemas api.settings"
        " segmenter.contract segmenter.formats segmenter.volumes"
    ),
    "api.operations": Row(
        "api.bootstrap api.errors api.render api.schemas api.settings segmenter.contract"
        " segmenter.errors segmenter.formats.raster segmenter.masks segmenter.measuring"
        " segmenter.memory_budget"
    ),
    "api.http": Row(
        "agent.* api api.bootstrap api.errors api.http.openapi api.http.routes api.problem_kinds"
        f" api.render api.schemas api.settings {SEGMENTER} segmenter.queue segmenter.settings"
        " segmenter.volumes",
        "fastapi starlette python_multipart",
    ),
    "api.http.routes": Row(
        "agent.errors agent.queued agent.runs agent.schemas api.bootstrap api.errors api.http"
        f" api.http.openapi api.operations api.problem_kinds api.render api.schemas {SEGMENTER}"
        " segmenter.volumes",
        "fastapi",
    ),
    "api.http.openapi": Row(
        "api api.http api.problem_kinds api.schemas segmenter.contract segmenter.volumes", "fastapi"
    ),
    "api.cli": Row("agent.* segmenter.* api.*", "uvicorn"),
    "api.cli.volume": Row(
        "agent.drawing api.bootstrap api.cli api.render api.schemas segmenter.contract"
        " segmenter.formats segmenter.masks segmenter.queue segmenter.services segmenter.volumes"
    ),
    "api.cli.ask": Row(
        "agent.errors agent.planners agent.schemas api api.bootstrap api.cli api.errors"
        " api.operations api.render api.schemas api.settings segmenter.contract segmenter.errors"
        " segmenter.formats segmenter.formats.dicom segmenter.settings"
    ),
    "benchmarks": Row(
        "api.* agent.* segmenter.*",
        "torch transformers PIL scipy nibabel pydicom fastapi uvicorn httpx2 redis",
    ),
}
# Everybody's.
COMMON = {"numpy", "pydantic", "pydantic_core"}
# Parents that see their children while the children use the parent's leaf files.
PARENTS = {
    "segmenter.formats",
    "segmenter.formats.dicom",
    "segmenter.formats.raster",
    "segmenter.backends.sam3",
    "agent.language",
    "api.http",
    "api.cli",
}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def sources() -> tuple[Path, ...]:
    return tuple(sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py")))


def module_of(path: Path) -> str:
    return relative(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def package_of(path: Path) -> str:
    """Return the row of a file: its folder; itself for one beside the packages of a layer."""
    folder = relative(path.parent).replace("/", ".")
    if folder in ROWS and module_of(path) not in ROWS:
        return folder
    if path.parts[len(ROOT.parts)] in ("benchmarks", "prompts"):
        return path.parts[len(ROOT.parts)]
    return module_of(path)


MODULES = {module_of(path): path for path in sources()}


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted module) of every import in a file, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            assert node.module is not None
            for alias in node.names:
                # `from agent import errors` names a module in its aliases.
                inner = f"{node.module}.{alias.name}"
                yield node.lineno, inner if inner in MODULES else node.module


def matches(package: str, pattern: str) -> bool:
    if pattern.endswith(".*"):
        return package == pattern[:-2] or package.startswith(pattern[:-1])
    return package == pattern


def arrows() -> Iterator[tuple[Path, int, str, str]]:
    """Yield (file, line, its package, imported package) of every import of ours across packages."""
    for path in sources():
        here = package_of(path)
        for line, module in imports(path):
            if module in MODULES and (there := package_of(MODULES[module])) != here:
                yield path, line, here, there


def test_every_package_has_a_row_and_every_row_a_package() -> None:
    assert {package_of(path) for path in sources()} - {"agent", "segmenter"} == set(ROWS)


def test_a_package_imports_only_what_its_row_allows() -> None:
    wrong = [
        f"{relative(path)}:{line}: {here} imports {there}"
        for path, line, here, there in arrows()
        if not any(matches(there, pattern) for pattern in ROWS[here].may.split())
    ]
    assert wrong == []


def test_a_row_allows_no_more_than_is_used() -> None:
    used = {(here, there) for _, _, here, there in arrows()}
    idle = [
        f"{here}: {pattern}"
        for here, row in ROWS.items()
        for pattern in row.may.split()
        if not any(matches(there, pattern) for start, there in used if start == here)
    ]
    third = {
        (package_of(path), name.split(".")[0]) for path in sources() for _, name in imports(path)
    }
    idle += [
        f"{here}: {name}"
        for here, row in ROWS.items()
        for name in row.owns.split()
        if (here, name) not in third
    ]
    assert idle == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    order = TopologicalSorter(
        {
            name: {other for _, other in imports(path) if other in MODULES and other != name}
            for name, path in MODULES.items()
        }
    )
    try:
        order.prepare()
    except CycleError as error:
        pytest.fail(f"circle: {' -> '.join(error.args[1])}")


def test_no_packages_import_each_other_in_a_circle() -> None:
    """A parent may see its children, and they its leaf files, for no module is in a circle."""
    order = TopologicalSorter[str]()
    for _, _, here, there in arrows():
        if not any(here == parent and there.startswith(f"{parent}.") for parent in PARENTS):
            order.add(here, there)
    try:
        order.prepare()
    except CycleError as error:
        pytest.fail(f"circle: {' -> '.join(error.args[1])}")


def test_no_folder_is_crowded() -> None:
    modules = [path for path in sources() if path.name != "__init__.py"]
    sizes = Counter(relative(path.parent) for path in modules)
    prefixes = Counter(
        f"{relative(path.parent)}/{path.stem.split('_')[0]}_*"
        for path in modules
        if "_" in path.stem
    )
    served = ("agent", "api", "segmenter")
    crowded = {folder: n for folder, n in sizes.items() if n > LARGEST_FOLDER}
    alike = {prefix: n for prefix, n in prefixes.items() if n >= SAME_PREFIX}
    assert {name: n for name, n in (crowded | alike).items() if name.startswith(served)} == {}


def test_a_third_party_package_is_imported_by_its_owners_only() -> None:
    owned = {name for row in ROWS.values() for name in row.owns.split()}
    wrong = [
        f"{relative(path)}:{line} imports {module}"
        for path in sources()
        for line, module in imports(path)
        if (name := module.split(".")[0]) not in sys.stdlib_module_names
        and name not in COMMON
        and name not in PACKAGES
        and name not in ROWS[package_of(path)].owns.split()
        and (name in owned or package_of(path) != "benchmarks")
    ]
    assert wrong == []


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
