"""What is told while changes are made, and who listens."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Phase = Literal[
    "network", "pool", "volume", "seed", "define", "start", "lease", "agent", "ssh", "cloud-init",
    "stop", "drain", "open", "remove", "take back", "done", "failed",
]  # fmt: skip


@dataclass(frozen=True)
class Step:
    """A thing has come to a phase; `said` is what there is to say of it, such as an address."""

    name: str
    phase: Phase
    said: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.phase}{f' {self.said}' if self.said else ''}"


#: May be called by several threads at once.
Listener = Callable[[Step], None]


def nobody(_: Step) -> None:
    """Listens to nothing."""
