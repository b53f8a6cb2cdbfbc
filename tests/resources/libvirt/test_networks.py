"""Networks and reservations on libvirt's test driver."""

import pytest

from resources.errors import PermanentError
from resources.libvirt import (
    AlreadyThere,
    Connection,
    NotFound,
    NotOurs,
    Reservation,
    networks,
    observe,
)
from tests.hypervisor import documents
from tests.hypervisor.documents import identity

HPC = identity("hpc")
KEPT = Reservation("52:54:00:00:00:01", "10.77.0.9", "one")


def reservations(connection: Connection) -> tuple[Reservation, ...]:
    found = observe(connection).network("hpc")
    assert found is not None
    return found.reservations


def test_a_document_without_our_mark_is_not_defined(simulated: Connection) -> None:
    with pytest.raises(PermanentError, match="no mark"):
        networks.define(simulated, documents.network("hpc", marked=False))


def test_a_network_of_somebody_else_is_not_touched(simulated: Connection) -> None:
    with pytest.raises(NotOurs, match="another network"):
        networks.define(simulated, documents.network("default"))
    with pytest.raises(NotOurs, match="another network"):
        networks.undefine(simulated, identity("default"))
    with pytest.raises(NotOurs, match="another network"):
        networks.reserve(simulated, identity("default"), KEPT)


def test_a_network_is_created_then_unchanged_then_changed(simulated: Connection) -> None:
    assert networks.define(simulated, documents.network("hpc")) == "created"
    assert networks.define(simulated, documents.network("hpc")) == "unchanged"
    moved = documents.network("hpc", gateway="10.78.0.1")
    assert networks.define(simulated, moved) == "changed"


def test_starting_and_autostart_happen_once(simulated: Connection) -> None:
    networks.define(simulated, documents.network("hpc"))
    assert networks.start(simulated, HPC)
    assert not networks.start(simulated, HPC)
    assert networks.set_autostart(simulated, HPC, True)
    assert not networks.set_autostart(simulated, HPC, True)
    found = observe(simulated).network("hpc")
    assert found is not None
    assert (found.is_active, found.is_autostart) == (True, True)


@pytest.mark.parametrize("is_active", [False, True])
def test_a_reservation_is_made_once_and_moves_with_its_mac(
    simulated: Connection, is_active: bool
) -> None:
    networks.define(simulated, documents.network("hpc"))
    if is_active:
        networks.start(simulated, HPC)
    assert networks.reserve(simulated, HPC, KEPT) == "created"
    assert networks.reserve(simulated, HPC, KEPT) == "unchanged"
    moved = Reservation(KEPT.mac.upper(), "10.77.0.10", "one")
    assert networks.reserve(simulated, HPC, moved) == "changed"
    assert reservations(simulated) == (Reservation(KEPT.mac, "10.77.0.10", "one"),)


def test_an_address_is_kept_for_one_mac(simulated: Connection) -> None:
    networks.define(simulated, documents.network("hpc"))
    networks.reserve(simulated, HPC, KEPT)
    with pytest.raises(AlreadyThere, match="existing dhcp host"):
        networks.reserve(simulated, HPC, Reservation("52:54:00:00:00:02", KEPT.address, "two"))


def test_a_network_that_is_not_there_is_told(simulated: Connection) -> None:
    with pytest.raises(NotFound, match="no such network"):
        networks.start(simulated, HPC)
    assert not networks.undefine(simulated, HPC)


def test_an_active_network_is_stopped_and_forgotten(simulated: Connection) -> None:
    networks.define(simulated, documents.network("hpc"))
    networks.start(simulated, HPC)
    assert networks.undefine(simulated, HPC)
    assert observe(simulated).network("hpc") is None
