"""Domains on libvirt's test driver: what may be asked for twice, and what is never touched."""

from dataclasses import replace

import pytest

from resources.errors import PermanentError
from resources.libvirt import (
    AlreadyThere,
    Connection,
    Identity,
    NotFound,
    NotOurs,
    State,
    domains,
    observation,
    observe,
)
from tests.hypervisor.documents import Guest, identity

ONE = Guest("one")


def state(connection: Connection, name: str = "one") -> State:
    found = observation.domain(connection, name)
    assert found is not None
    return found.state


def test_a_document_without_our_mark_is_not_defined(simulated: Connection) -> None:
    with pytest.raises(PermanentError, match="no mark"):
        domains.define(simulated, replace(ONE, marked=False).xml())
    assert observation.domain(simulated, "one") is None


@pytest.mark.parametrize(
    "xml", ["", "<domain/>", "<network/>", "<domain><name>one</name></domain>"]
)
def test_what_is_no_domain_is_refused(simulated: Connection, xml: str) -> None:
    with pytest.raises(PermanentError):
        domains.define(simulated, xml)


def test_a_domain_is_created_then_unchanged_then_changed(simulated: Connection) -> None:
    assert domains.define(simulated, ONE.xml()) == "created"
    assert domains.define(simulated, ONE.xml()) == "unchanged"
    assert domains.define(simulated, replace(ONE, mebibytes=128).xml()) == "changed"


def test_a_redefinition_keeps_what_runs(simulated: Connection) -> None:
    domains.define(simulated, ONE.xml())
    domains.start(simulated, ONE.identity)
    domains.define(simulated, replace(ONE, mebibytes=128).xml())
    found = observation.domain(simulated, "one")
    assert found is not None
    assert found.state is State.RUNNING
    assert (found.live.memory, found.configured.memory) == (96 * 2**20, 128 * 2**20)


def test_a_name_with_another_uuid_is_not_touched(simulated: Connection) -> None:
    other = Guest("test")
    with pytest.raises(NotOurs, match="another domain of that name"):
        domains.define(simulated, other.xml())
    for verb in (domains.start, domains.destroy, domains.undefine):
        with pytest.raises(NotOurs, match="another domain of that name"):
            verb(simulated, other.identity)
    with pytest.raises(NotOurs):
        domains.shutdown(simulated, other.identity, timeout_seconds=1)
    assert state(simulated, "test") is State.RUNNING


def test_our_uuid_without_our_mark_is_not_touched(simulated: Connection) -> None:
    simulated.handle().defineXML(replace(ONE, marked=False).xml())
    with pytest.raises(NotOurs, match="no mark of ours"):
        domains.define(simulated, ONE.xml())
    with pytest.raises(NotOurs, match="no mark of ours"):
        domains.undefine(simulated, ONE.identity)


def test_a_uuid_that_another_name_has_is_told(simulated: Connection) -> None:
    domains.define(simulated, ONE.xml())
    renamed = ONE.xml().replace("<name>one<", "<name>two<")
    with pytest.raises(AlreadyThere, match="already"):
        domains.define(simulated, renamed)


def test_starting_twice_starts_once(simulated: Connection) -> None:
    domains.define(simulated, ONE.xml())
    assert domains.start(simulated, ONE.identity)
    assert not domains.start(simulated, ONE.identity)


def test_a_paused_domain_is_resumed(simulated: Connection) -> None:
    domains.define(simulated, ONE.xml())
    domains.start(simulated, ONE.identity)
    simulated.handle().lookupByName("one").suspend()
    assert domains.start(simulated, ONE.identity)
    assert state(simulated) is State.RUNNING


def test_starting_what_is_not_there_says_so(simulated: Connection) -> None:
    with pytest.raises(NotFound, match="could not start one: there is no such domain"):
        domains.start(simulated, ONE.identity)


def test_shutting_down_waits_until_it_is_off(simulated: Connection) -> None:
    domains.define(simulated, ONE.xml())
    domains.start(simulated, ONE.identity)
    assert domains.shutdown(simulated, ONE.identity, timeout_seconds=60)
    assert state(simulated) is State.OFF
    assert not domains.shutdown(simulated, ONE.identity, timeout_seconds=60)


def test_destroying_twice_destroys_once(simulated: Connection) -> None:
    domains.define(simulated, ONE.xml())
    domains.start(simulated, ONE.identity)
    assert domains.destroy(simulated, ONE.identity)
    assert not domains.destroy(simulated, ONE.identity)


@pytest.mark.parametrize("verb", [domains.destroy, domains.undefine])
def test_what_is_not_there_need_not_be_ended(simulated: Connection, verb: object) -> None:
    assert callable(verb)
    assert not verb(simulated, identity("nobody"))
    assert not domains.shutdown(simulated, identity("nobody"), timeout_seconds=1)


def test_a_running_domain_is_not_undefined(simulated: Connection) -> None:
    domains.define(simulated, ONE.xml())
    domains.start(simulated, ONE.identity)
    with pytest.raises(PermanentError, match="it is on"):
        domains.undefine(simulated, ONE.identity)
    domains.destroy(simulated, ONE.identity)
    assert domains.undefine(simulated, ONE.identity)
    assert [each.name for each in observe(simulated).domains] == ["test"]


def test_autostart_is_set_once(simulated: Connection) -> None:
    domains.define(simulated, ONE.xml())
    assert domains.set_autostart(simulated, ONE.identity, True)
    assert not domains.set_autostart(simulated, ONE.identity, True)
    found = observation.domain(simulated, "one")
    assert found is not None
    assert found.is_autostart


def test_twenty_domains_are_twenty(simulated: Connection) -> None:
    for number in range(20):
        domains.define(simulated, Guest(f"many-{number:02}").xml())
    found = [each.name for each in observe(simulated).domains if each.live.mark is not None]
    assert found == [f"many-{number:02}" for number in range(20)]


def test_an_identity_is_both_name_and_uuid(simulated: Connection) -> None:
    domains.define(simulated, ONE.xml())
    with pytest.raises(NotOurs):
        domains.start(simulated, Identity("one", identity("two").uuid))
