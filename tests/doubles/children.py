"""Runs a piece of Python in a child process, as another user where this one is root."""

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
NOBODY = 65534
# Everything is imported before the change of user, who may not be able to read this repository.
PRELUDE = """
import os, resource, signal, sys
from pathlib import Path
import obstore, obstore.exceptions, obstore.store
from cloud_assets.identity import CheckpointKey
from cloud_assets.models.layout import inspect
from cloud_assets.models.transfer import publish
from cloud_assets.models.unwatched import list_unwatched
from cloud_assets.models.watch import Watch, waiting_for
from cloud_assets.settings import Root
from resources.errors import PermanentError, TransientError
from resources.host.services import system_socket
from resources.object_store import ObjectStore
"""
LOWER = f"""
if os.geteuid() == 0:
    os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
"""


def command(code: str, *arguments: object, lowered: bool = False) -> list[str]:
    script = PRELUDE + (LOWER if lowered else "") + code
    return [sys.executable, "-c", script, *map(str, arguments)]


def run(code: str, *arguments: object, lowered: bool = False) -> str:
    """What the child printed. `lowered`: as `nobody` where this process is root."""
    ended = subprocess.run(
        command(code, *arguments, lowered=lowered),
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()
