"""`ai-how` as a person runs it, with a file of clusters; in a hypervisor's network if need be."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.testbed import pins

_SECONDS = 900


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it said where."""

    code: int
    printed: str
    told: str

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """A list of machines that was asked for with `--json`, by their names."""
        return {each["machine"]: each for each in json.loads(self.printed)}


@dataclass(frozen=True)
class Command:
    """With the file in force; `inside` is what each command is run by, as `nsenter …`."""

    file: Path
    inside: Sequence[str] = ()

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        kept = {k: v for k, v in os.environ.items() if not k.startswith("AI_HOW")}
        return subprocess.Popen(
            [*self.inside, sys.executable, "-m", "cloud_assets.cli.main", *arguments],
            cwd=self.file.parent,
            env={**kept, "PYTHONPATH": str(pins.REPOSITORY), "AI_HOW_CLUSTER": str(self.file)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def __call__(self, *arguments: str) -> Ran:
        with self.start(*arguments) as started:
            printed, told = started.communicate(timeout=_SECONDS)
        return Ran(started.returncode, printed, told)


def write(file: Path, clusters: Mapping[str, object], **machines: object) -> None:
    """The file; `machines` are settings of the host. No platform is up beside it."""
    platform = {"ports": {"dagster": 1, "mlflow": 2, "gateway": 3}, "machines": machines}
    file.write_text(yaml.safe_dump({"clusters": dict(clusters), "platform": platform}), "utf-8")


def public_key(file: Path) -> Path:
    """A new key pair at `file`; its public half."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)]
    subprocess.run(command, check=True)
    return file.with_name(f"{file.name}.pub")
