"""Child processes of a build: their output is kept, and shown only when they fail."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from resources.errors import PermanentError


def run(
    command: Sequence[str | Path],
    *,
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
    text: str | None = None,
    seconds: float = 1800,
) -> str:
    """The standard output. Raises PermanentError with the end of what it said when it fails."""
    words = [str(each) for each in command]
    action = f"run `{' '.join(words[:4])}`"
    try:
        outcome = subprocess.run(
            words, cwd=directory, env={**os.environ, **(environment or {})}, input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True, text=True, errors="replace", timeout=seconds, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PermanentError("the testbed", action, str(error)) from error
    if outcome.returncode != 0:
        said = (outcome.stderr.strip() or outcome.stdout.strip())[-3000:]
        raise PermanentError("the testbed", action, f"exit status {outcome.returncode}\n{said}")
    return outcome.stdout
