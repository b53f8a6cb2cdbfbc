"""Installing Debian packages on this machine, where something of them is missing."""

from collections.abc import Sequence

from tests.testbed.build import commands
from tests.testbed.progress import step


def install(packages: Sequence[str]) -> None:
    """Install them without what they merely recommend. Raises PermanentError with apt's words."""
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    with step(f"installing {' '.join(packages)}"):
        commands.run(["apt-get", "update", "-qq"], environment=quiet)
        commands.run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
            environment=quiet,
        )
