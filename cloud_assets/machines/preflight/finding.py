"""One thing looked at on the host, how it stands, and the command that mends it. Pure."""

from dataclasses import dataclass
from typing import Literal

#: fail: machines cannot be made or started so; warn: they can, and slower or only for now.
Level = Literal["pass", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """`fix` is empty where nothing is to be mended."""

    what: str
    level: Level
    found: str
    fix: str = ""


def well(what: str, found: str) -> Finding:
    return Finding(what, "pass", found)


def slower(what: str, found: str, fix: str) -> Finding:
    return Finding(what, "warn", found, fix)


def ill(what: str, found: str, fix: str) -> Finding:
    return Finding(what, "fail", found, fix)


def gibibytes(size: int) -> str:
    """As people read it."""
    return f"{size / 2**30:.0f} GiB" if size >= 10 * 2**30 else f"{size / 2**30:.1f} GiB"
