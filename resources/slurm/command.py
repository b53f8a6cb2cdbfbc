"""Running Slurm's commands, here or over SSH, with errors of ours for theirs."""

import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from resources.errors import NeedsRepair, TransientError
from resources.slurm.failures import SYSTEM, failure

_SSH = ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5")
#: What ssh itself ends with where it got nowhere.
_SSH_FAILED = 255


class Command:
    """`configuration` is a slurm.conf of this machine; `login` a host with Slurm, for ssh."""

    def __init__(
        self, configuration: Path | None, *, login: str | None, timeout_seconds: float
    ) -> None:
        self._configuration = configuration
        self._login = login
        self._timeout_seconds = timeout_seconds

    def run(self, *words: str, action: str, text: str | None = None) -> str:
        """Standard output. Raises TransientError where nothing answers, and what `failures` has."""
        line = self._line(words)
        variables = {"SLURM_CONF": str(self._configuration)} if self._configuration else {}
        try:
            ended = subprocess.run(
                line, input=text, stdin=subprocess.DEVNULL if text is None else None,
                env={**os.environ, **variables}, capture_output=True, text=True,
                errors="replace", timeout=self._timeout_seconds, check=False,
            )  # fmt: skip
        except FileNotFoundError as error:
            hint = "install slurm-client here, or name a host with it as `platform.slurm.login`"
            reason = f"there is no command {line[0]}"
            raise NeedsRepair(SYSTEM, action, reason, hint=hint) from error
        except subprocess.TimeoutExpired as error:
            reason = f"no answer in {self._timeout_seconds:g} s"
            raise TransientError(SYSTEM, action, reason) from error
        if ended.returncode == _SSH_FAILED and self._login is not None:
            reason = f"ssh to {self._login} failed: {' '.join(ended.stderr.split())[-300:]}"
            hint = f"`ssh {self._login} sinfo` must work without a password"
            raise TransientError(SYSTEM, action, reason, hint=hint)
        if ended.returncode != 0:
            raise failure(ended.stderr or ended.stdout, action)
        return ended.stdout

    def _line(self, words: Sequence[str]) -> list[str]:
        if self._login is None:
            return list(words)
        return [*_SSH, "--", self._login, shlex.join(words)]
