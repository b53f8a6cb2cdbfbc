"""Events of libvirt's test driver."""

import threading

import pytest

from resources.errors import DeadlineExceeded, TransientError
from resources.libvirt import Connection, Watch, domains, watching
from tests.hypervisor.documents import Guest

ONE = Guest("one")


def test_what_happens_within_the_watch_is_seen_though_it_is_over(simulated: Connection) -> None:
    domains.define(simulated, ONE.xml())
    with watching(simulated) as watch:
        domains.start(simulated, ONE.identity)
        domains.destroy(simulated, ONE.identity)
        assert watch.wait("one", "started", timeout_seconds=60).identity == ONE.identity
        assert watch.wait("one", "stopped", timeout_seconds=60).detail == 1


def test_what_others_do_meanwhile_is_seen(simulated: Connection) -> None:
    domains.define(simulated, ONE.xml())
    with watching(simulated) as watch:
        other = threading.Thread(target=domains.start, args=(simulated, ONE.identity))
        other.start()
        assert watch.wait("one", "started", timeout_seconds=60).what == "started"
        other.join()


def test_nothing_is_seen_after_the_watch(simulated: Connection) -> None:
    with watching(simulated) as watch:
        domains.define(simulated, ONE.xml())
        watch.wait("one", "defined", timeout_seconds=60)
    domains.undefine(simulated, ONE.identity)
    assert [each.what for each in watch.seen] == ["defined"]


def test_what_does_not_come_in_time_is_told(simulated: Connection) -> None:
    with (
        watching(simulated) as watch,
        pytest.raises(DeadlineExceeded, match="could not see `agent connected` of one"),
    ):
        watch.wait("one", "agent connected", timeout_seconds=0.05)


def test_a_lost_connection_ends_the_wait() -> None:
    watch = Watch()
    threading.Timer(0.05, watch.lose, ("the hypervisor ended it",)).start()
    with pytest.raises(TransientError, match="the hypervisor ended it"):
        watch.wait("one", "started", timeout_seconds=60)
