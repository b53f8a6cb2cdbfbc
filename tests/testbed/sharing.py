"""One testbed for all test runs of a machine at a time: the last to leave ends it.

One that was started by hand stays. A run that is killed leaves no claim behind.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from tests.testbed import cluster
from tests.testbed.build import cache
from tests.testbed.cluster import Cluster


@contextmanager
def used() -> Iterator[Cluster]:
    """A cluster that is ready and stays up within; what `cluster.up` raises."""
    cache.root().mkdir(mode=0o700, parents=True, exist_ok=True)
    claims = os.open(cache.root() / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # Waits where the last of others is just ending the cluster.
        fcntl.flock(claims, fcntl.LOCK_SH)
        yield cluster.up()
        if _is_alone(claims) and not cluster.is_kept():
            cluster.down()
    finally:
        os.close(claims)


def _is_alone(claims: int) -> bool:
    try:
        fcntl.flock(claims, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
