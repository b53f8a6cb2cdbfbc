"""A slot as a supervised program: its name, its program, and what it serves read back from it.

The program's own environment holds what is served, so that no other file can disagree with it.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from resources.errors import PermanentError
from resources.process_serving.runtimes import Launch, Runtime
from resources.serving import Servable
from resources.supervisor.config import PROGRAM_NAME, Program

PREFIX = "slot-"
_VARIABLE = "AI_HOW_SLOT"
_MODEL_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")
# What supervisord's configuration would read as a quote, an expansion or a comment.
_ESCAPED = str.maketrans({mark: f"\\u{ord(mark):04x}" for mark in "'%#;"})


@dataclass(frozen=True)
class SlotRecord:
    """What a slot serves and where it listens."""

    servable: Servable
    port: int

    @property
    def name(self) -> str:
        return slot_name(self.servable)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def slot_name(servable: Servable) -> str:
    """`slot-<key>-<first eight of the digest>`; raises PermanentError for an unusable key."""
    digest = re.sub(r"[^A-Za-z0-9]", "", servable.digest.rpartition(":")[2])[:8]
    name = f"{PREFIX}{servable.key}-{digest}"
    if not (PROGRAM_NAME.match(name) and _MODEL_NAME.match(servable.name) and digest):
        raise PermanentError(
            "the serving backend",
            f"serve `{servable.key}` as `{servable.name}`",
            "the key, the name or the digest has characters that no slot can have",
        )
    return name


def program(record: SlotRecord, runtime: Runtime, launch: Launch, *, directory: Path) -> Program:
    """The program of a slot whose own directory is `directory`."""
    described = json.dumps(asdict(record.servable) | {"port": record.port}).translate(_ESCAPED)
    return Program(
        name=record.name,
        command=(*runtime.command(launch), *runtime.arguments),
        directory=directory,
        environment={**runtime.environment, _VARIABLE: described},
        startsecs=runtime.startsecs,
        stopwaitsecs=runtime.stopwaitsecs,
        priority=900,
    )


def read_record(supervised: Program) -> SlotRecord | None:
    """What the program serves; None when it is no slot."""
    if not supervised.name.startswith(PREFIX):
        return None
    try:
        described: dict[str, Any] = json.loads(supervised.environment[_VARIABLE])
        port = int(described.pop("port"))
        return SlotRecord(Servable(**described), port)
    except (KeyError, ValueError, TypeError) as error:
        raise PermanentError(
            "the serving backend",
            f"read what {supervised.name} serves",
            str(error),
            hint="take the slot away and serve the checkpoint again",
        ) from error
