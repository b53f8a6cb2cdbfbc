"""Installing Debian packages on this machine, where something of them is missing."""

from collections.abc import Sequence

from resources import atomic
from tests.testbed.build import cache, commands
from tests.testbed.progress import step

#: apt refuses a second one at a time; of ours each waits for the others.
_PATIENCE_SECONDS = 1200


def install(packages: Sequence[str]) -> None:
    """Install them without what they merely recommend. Raises PermanentError with apt's words."""
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-qq", "-o", f"DPkg::Lock::Timeout={_PATIENCE_SECONDS}"]
    lock = cache.root() / "apt.lock"
    with (
        step(f"installing {' '.join(packages)}"),
        atomic.locked(lock, timeout_seconds=_PATIENCE_SECONDS),
    ):
        commands.run([*apt, "update"], environment=quiet)
        commands.run([*apt, "install", "-y", "--no-install-recommends", *packages],
                     environment=quiet)  # fmt: skip
