"""The first process of the cell: mounts, network, supervisord; then it reaps what is orphaned.

Run as `python -m tests.testbed.run.cell_init HOME` inside new namespaces.
"""

import json
import os
import sys
import time
from pathlib import Path

from resources.errors import PermanentError
from resources.supervisor import Program, Supervisor
from tests.testbed.build import commands
from tests.testbed.run import cgroups, network
from tests.testbed.run.places import Places


def main(home: str) -> None:
    places = Places(Path(home))
    cgroups.enter(places.cgroup, "system")
    commands.run(["hostname", "aihow-testbed"])
    _mount(places)
    written = json.loads(places.programs.read_text("utf-8"))
    network.prepare_cell(written["hosts"])
    programs = [
        Program(**{**each, "directory": places.home, "command": tuple(each["command"])})
        for each in written["programs"]
    ]
    Supervisor(places.home).start(programs)
    _reap()


def _mount(places: Places) -> None:
    """Give the cell places of its own where programs insist on a path of the system."""
    commands.run(["mount", "--make-rshared", "/"])
    for target in (Path("/var/lib"), Path("/var/log"), Path("/run")):
        if places.home.is_relative_to(target.resolve()):
            raise PermanentError(
                "the testbed", f"run in {places.home}", f"{target} is hidden from the cluster",
                hint="set AI_HOW_CACHE to a directory elsewhere",
            )  # fmt: skip
    commands.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"])
    for name in ("lib", "log"):
        own = places.home / f"var-{name}"
        own.mkdir(mode=0o755)
        commands.run(["mount", "--bind", own, f"/var/{name}"])


def _reap() -> None:
    while True:
        try:
            os.wait()
        except ChildProcessError:
            time.sleep(1)


if __name__ == "__main__":
    main(sys.argv[1])
