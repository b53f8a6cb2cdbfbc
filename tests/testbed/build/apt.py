"""Installing Debian packages on this machine, where something of them is missing."""

from collections.abc import Sequence

from resources import atomic
from tests.testbed.build import cache, commands
from tests.testbed.progress import step

_LOCK_SECONDS = 1800.0
#: Others install packages at the same time, on a fresh machine above all.
_PATIENT = ("-qq", "-o", f"DPkg::Lock::Timeout={_LOCK_SECONDS:.0f}")


def install(packages: Sequence[str]) -> None:
    """Install them without what they merely recommend. Raises PermanentError with apt's words."""
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    cache.root().mkdir(mode=0o700, parents=True, exist_ok=True)
    with (
        step(f"installing {' '.join(packages)}"),
        # apt waits for nobody who updates its lists.
        atomic.locked(cache.root() / ".apt.lock", timeout_seconds=_LOCK_SECONDS),
    ):
        commands.run(["apt-get", "update", *_PATIENT], environment=quiet)
        commands.run(
            ["apt-get", "install", "-y", *_PATIENT, "--no-install-recommends", *packages],
            environment=quiet,
        )
