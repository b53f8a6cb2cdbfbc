"""Snapshots on libvirt's test driver."""

import pytest

from resources.libvirt import (
    AlreadyThere,
    Connection,
    NotFound,
    NotOurs,
    State,
    domains,
    observation,
    snapshots,
)
from tests.hypervisor.documents import Guest, identity

ONE = Guest("one")


@pytest.fixture
def defined(simulated: Connection) -> Connection:
    domains.define(simulated, ONE.xml())
    return simulated


def test_the_snapshots_of_others_are_not_ours_to_make(simulated: Connection) -> None:
    with pytest.raises(NotOurs):
        snapshots.create(simulated, identity("test"), "before")


def test_a_snapshot_is_listed_with_what_it_is_for(defined: Connection) -> None:
    snapshots.create(defined, ONE.identity, "before", description="before <the> upgrade")
    (found,) = snapshots.listed(defined, ONE.identity)
    assert (found.name, found.description) == ("before", "before <the> upgrade")
    assert found.is_current


def test_a_name_is_not_taken_twice(defined: Connection) -> None:
    snapshots.create(defined, ONE.identity, "before")
    with pytest.raises(AlreadyThere):
        snapshots.create(defined, ONE.identity, "before")


def test_reverting_brings_back_the_state(defined: Connection) -> None:
    snapshots.create(defined, ONE.identity, "off")
    domains.start(defined, ONE.identity)
    snapshots.revert(defined, ONE.identity, "off")
    found = observation.domain(defined, "one")
    assert found is not None
    assert found.state is State.OFF


def test_reverting_to_nothing_is_told(defined: Connection) -> None:
    with pytest.raises(NotFound, match="no such snapshot"):
        snapshots.revert(defined, ONE.identity, "never")


def test_a_snapshot_is_deleted_once(defined: Connection) -> None:
    snapshots.create(defined, ONE.identity, "before")
    assert snapshots.delete(defined, ONE.identity, "before")
    assert not snapshots.delete(defined, ONE.identity, "before")


def test_a_domain_with_snapshots_is_undefined(defined: Connection) -> None:
    snapshots.create(defined, ONE.identity, "before")
    assert domains.undefine(defined, ONE.identity)
