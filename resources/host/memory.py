"""Memory of this machine in bytes: what there is, what is free, and what is kept as huge pages."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")
_LINE = re.compile(r"^(MemTotal|MemAvailable):\s*(\d+) kB", re.MULTILINE)
_SIZE = re.compile(r"^hugepages-(\d+)kB$")


@dataclass(frozen=True)
class Memory:
    """`huge` is what is free in huge pages, by the size of a page."""

    total: int
    available: int
    huge: Mapping[int, int]


def memory(root: Path = ROOT) -> Memory:
    """As it is now; zeros where the kernel does not say."""
    said = ""
    with suppress(OSError):
        said = (root / "proc/meminfo").read_text("ascii", "replace")
    found = {name: int(kibibytes) * 1024 for name, kibibytes in _LINE.findall(said)}
    return Memory(found.get("MemTotal", 0), found.get("MemAvailable", 0), dict(_huge(root)))


def _huge(root: Path) -> list[tuple[int, int]]:
    found = []
    for folder in sorted((root / "sys/kernel/mm/hugepages").glob("hugepages-*")):
        size = _SIZE.match(folder.name)
        with suppress(OSError, ValueError):
            pages = int((folder / "free_hugepages").read_text("ascii"))
            if size:
                found.append((int(size[1]) * 1024, pages * int(size[1]) * 1024))
    return found
