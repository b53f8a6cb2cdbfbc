"""Dagster's daemon with the loops of one machine, and the fork server of its runs already warm.

Dagster looks for sensors every 5 s and for backfills every 30 s, and has no setting for either.
Run as `python -m resources.dagster.daemon run -w workspace.yaml`.
"""

from dagster._daemon import controller, sensor
from dagster._daemon.cli import main as run_daemon

from resources.dagster.launcher import warm

SENSOR_LOOP_SECONDS = 1
BACKFILL_LOOP_SECONDS = 5


def main() -> None:
    """Shorten the two loops, start the fork server, and hand over to Dagster's command line."""
    sensor.MIN_INTERVAL_LOOP_TIME = SENSOR_LOOP_SECONDS
    controller.DEFAULT_DAEMON_INTERVAL_SECONDS = BACKFILL_LOOP_SECONDS
    warm()
    run_daemon()


if __name__ == "__main__":
    main()
