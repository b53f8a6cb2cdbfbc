"""Ansible of its own, in the version that the newest Kubespray before 2.31 asks for."""

import sys
from pathlib import Path

from tests.testbed.build import commands
from tests.testbed.build.cache import Artefact

_CORE = "ansible-core>=2.17.3,<2.18"


def ansible_core() -> Artefact:
    """A virtual environment: `bin/python -m ansible inventory …`."""

    def build(draft: Path) -> None:
        commands.run([sys.executable, "-m", "venv", draft])
        commands.run([draft / "bin" / "python", "-m", "pip", "install", "--quiet", _CORE])

    return Artefact("ansible-core", f"{_CORE}\n{sys.version}", build)
