"""Runs the shell blocks of a Markdown page as a reader would, and compares what they print.

In a `console` block a line that begins with `$ ` is a command, the lines below are what it prints;
`…` stands for anything. The comment `<!-- repeat until it shows -->` before a block says that the
reader repeats it. Any other `sh` block is a script.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from resources.ports import free_ports

REPOSITORY = Path(__file__).parents[2]
FENCE = re.compile(
    r"^(?P<repeated><!-- repeat until it shows -->\n)?```(?P<kind>console|sh)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
PATIENCE_SECONDS = 180


@dataclass(frozen=True)
class Command:
    """A command of a page, the lines it should print, and whether it is repeated until it does."""

    place: str
    script: str
    printed: tuple[str, ...] = ()
    repeated: bool = False


def commands(page: Path) -> Iterator[Command]:
    """Every command of the page in its order."""
    text = page.read_text("utf-8")
    for block in FENCE.finditer(text):
        place = f"{page.name}:{text.count(chr(10), 0, block.start()) + 1}"
        if block["kind"] == "sh":
            yield Command(place, block["text"])
            continue
        for part in re.split(r"^\$ ", block["text"], flags=re.MULTILINE)[1:]:
            script, *printed = part.splitlines()
            yield Command(place, script, tuple(printed), block["repeated"] is not None)


@dataclass
class Shell:
    """A reader's shell: a directory that `cd` changes, and an environment that stays.

    `exchanged` is replaced in commands and expectations before anything else: the ports that the
    pages name may be taken here.
    """

    directory: Path
    environment: Mapping[str, str]
    exchanged: Mapping[str, str]

    def follow(self, command: Command) -> None:
        """Run it. Raises AssertionError when it fails or prints something else than the page."""
        printed = [self._exchange(line) for line in command.printed]
        end = time.monotonic() + (PATIENCE_SECONDS if command.repeated else 0)
        while True:
            output = self._run(command)
            missing = first_missing(printed, output.splitlines())
            if missing is None:
                return
            if time.monotonic() > end:
                raise AssertionError(f"{command.place}: no line `{missing}` in:\n{output}")
            time.sleep(1)

    def _run(self, command: Command) -> str:
        where = self.directory
        script = f"{self._exchange(command.script)}\npwd >&3"
        read, write = os.pipe()
        with os.fdopen(read) as told:
            try:
                ended = subprocess.run(
                    ["bash", "-euo", "pipefail", "-c", f"exec 3>&{write}\n{script}"],
                    cwd=where, env=dict(self.environment), pass_fds=[write], timeout=300,
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                    text=True, check=False,
                )  # fmt: skip
            finally:
                os.close(write)
            assert ended.returncode == 0, f"{command.place}: {command.script}\n{ended.stdout}"
            self.directory = Path(told.readline().strip())
        return ended.stdout

    def _exchange(self, text: str) -> str:
        for old, new in self.exchanged.items():
            text = text.replace(old, new)
        return text


def checkout_in(directory: Path) -> Path:
    """What a reader has in front of them, with this interpreter's environment as its `.venv`."""
    pins = ("requirements.txt", "requirements-libvirt.txt")
    for name in ("Makefile", "clusters.mk", "setup.sh", *pins, "pyproject.toml", "examples"):
        (directory / name).symlink_to(REPOSITORY / name)
    (directory / ".venv").symlink_to(sys.prefix)
    return directory


def other_ports() -> dict[str, str]:
    """What is exchanged so that a page's platform takes ports that are free here."""
    dagster, mlflow, gateway = free = free_ports(3)
    ports = f"  ports: {{dagster: {dagster}, mlflow: {mlflow}, gateway: {gateway}}}\n"
    changed = {f":{old}": f":{new}" for old, new in zip((3000, 5000, 8000), free, strict=True)}
    return {"platform:\n": f"platform:\n{ports}", **changed}


def first_missing(expected: Sequence[str], lines: Sequence[str]) -> str | None:
    """The first expected line that does not come, in order, among `lines`; white space is equal."""
    coming = iter([_squeezed(line) for line in lines])
    for wanted in expected:
        pieces = [re.escape(_squeezed(piece)) for piece in wanted.split("…")]
        pattern = re.compile(r"\s*" + r".*".join(pieces) + r"\s*")
        if _squeezed(wanted) not in ("", "…") and not any(map(pattern.fullmatch, coming)):
            return wanted
    return None


def _squeezed(line: str) -> str:
    return " ".join(line.split())
