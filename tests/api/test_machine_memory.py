"""The budget follows what the machine has and what its container may take."""

from pathlib import Path

import pytest

from api.machine_memory import OWN_BYTES, UNKNOWN_BYTES, default_budget_mib

GIB = 2**30
MEMINFO = f"MemTotal:       {16 * GIB // 1024} kB\nMemFree:  1 kB\n"
NO_LIMIT_V1 = 2**63 - 4096


def machine(root: Path, files: dict[str, str]) -> int:
    for name, text in ({"proc/meminfo": MEMINFO} | files).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    return default_budget_mib(root) * 2**20


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 8 * GIB),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 8 * GIB),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/memory.max": f"{4 * GIB}"}, 2 * GIB),
        # Seen from inside of a container, whose path is that of the machine outside.
        ({"proc/self/cgroup": "0::/x/y\n", "sys/fs/cgroup/memory.max": f"{2 * GIB}"}, GIB),
        (
            {
                "proc/self/cgroup": "5:cpu:/c\n4:memory:/c\n0::/\n",
                "sys/fs/cgroup/memory/c/memory.limit_in_bytes": f"{3 * GIB}",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{NO_LIMIT_V1}",
            },
            3 * GIB // 2,
        ),
        (
            {"proc/self/cgroup": "0::/s\n", "sys/fs/cgroup/s/memory.max": f"{600 * 2**20}"},
            200 * 2**20,
        ),
    ],
    ids=["machine", "no limit", "group above", "container", "version 1", "small container"],
)
def test_the_smallest_limit_counts(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    assert machine(tmp_path, files) == expected


def test_without_any_figure_some_memory_is_assumed(tmp_path: Path) -> None:
    assert default_budget_mib(tmp_path) == min(UNKNOWN_BYTES // 2, UNKNOWN_BYTES - OWN_BYTES) >> 20
