"""How much memory there is: the machine's, or what its container may take.

Source: cgroup v2 (``memory.max``) and v1 (``memory.limit_in_bytes``), kernel documentation.
"""

from collections.abc import Iterator
from pathlib import Path

MEBIBYTE = 2**20
# Where a process of its own finds the group it is in, and all groups.
OWN_GROUPS, GROUPS = "proc/self/cgroup", "sys/fs/cgroup"
MACHINE = "proc/meminfo"
# If nothing tells how much there is.
UNKNOWN_BYTES = 4096 * MEBIBYTE
# What a process takes beside its budget: the libraries and the bundled model.
OWN_BYTES = 400 * MEBIBYTE


def default_budget_mib(root: Path = Path("/")) -> int:
    """Return half of the memory there is, in MiB: the rest is for Redis, the system and others.

    In a small container it is less: what is left beside the process itself.

    Args:
        root: of the file system.
    """
    found = min(_limits(root), default=UNKNOWN_BYTES)
    return min(found // 2, max(found - OWN_BYTES, 0)) // MEBIBYTE


def _limits(root: Path) -> Iterator[int]:
    """Yield the bytes that the machine has, and those that each group around us may take."""
    for line in _read(root / MACHINE).splitlines():
        if line.startswith("MemTotal:"):
            yield int(line.split()[1]) * 1024
    for line in _read(root / OWN_GROUPS).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            yield from _of_group(root / GROUPS, path, "memory.max")
        elif "memory" in controllers.split(","):
            yield from _of_group(root / GROUPS / "memory", path, "memory.limit_in_bytes")


def _of_group(groups: Path, path: str, name: str) -> Iterator[int]:
    """Yield the limits of a group and of all it is in.

    Inside a container the path may be that of the machine outside, which is not there; the group's
    own files then lie at the top.
    """
    group = groups / path.lstrip("/")
    for each in (group, *group.parents):
        limit = _read(each / name).strip()
        # No limit is "max" in version 2 and more than any machine has in version 1.
        if limit.isdigit():
            yield int(limit)
        if each == groups:
            return


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""
