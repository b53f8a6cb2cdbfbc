"""Dagster's daemon with the loops of one machine, and the fork server of its runs already warm.

Dagster looks for sensors every 5 s and for backfills every 30 s, and has no setting for either.
Run as `python -m resources.dagster.daemon run -w workspace.yaml`.
"""

import os
import socket
import time
from contextlib import suppress

from dagster import DagsterInstance
from dagster._daemon import controller, sensor
from dagster._daemon.cli import main as run_daemon

from resources.dagster.launcher import warm

SENSOR_LOOP_SECONDS = 1
BACKFILL_LOOP_SECONDS = 5
POOLS_VARIABLE = "AI_HOW_POOLS"
CODE_SOCKET_VARIABLE = "AI_HOW_CODE_SOCKET"
CODE_SERVER_SECONDS = 120.0


def limit_pools(instance: DagsterInstance) -> None:
    """Give the pools that AI_HOW_POOLS names their default limit before the first run of each.

    Dagster only does so while it looks at the first runs that need a pool, and starts all of those
    at once (GlobalOpConcurrencyLimitsCounter gets the pools that were known before).
    """
    for pool in filter(None, os.environ.get(POOLS_VARIABLE, "").split(",")):
        instance.event_log_storage.initialize_concurrency_limit_to_default(pool)


def wait_for_code_server(path: str, *, seconds: float = CODE_SERVER_SECONDS) -> bool:
    """Until the code server listens on the socket at `path`; False when it does not in time.

    A daemon that is up before it gives up the retry of a killed run for good: it cannot load what
    it would start.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
            probe.connect(path)
            return True
        time.sleep(0.1)
    return False


def main() -> None:
    """Shorten the two loops, start the fork server, and hand over to Dagster's command line."""
    sensor.MIN_INTERVAL_LOOP_TIME = SENSOR_LOOP_SECONDS
    controller.DEFAULT_DAEMON_INTERVAL_SECONDS = BACKFILL_LOOP_SECONDS
    warm()
    with DagsterInstance.get() as instance:
        limit_pools(instance)
    path = os.environ.get(CODE_SOCKET_VARIABLE)
    if path:
        wait_for_code_server(path)
    run_daemon()


if __name__ == "__main__":
    main()
