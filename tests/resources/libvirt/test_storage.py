"""Pools and volumes on libvirt's test driver, which keeps documents and no files."""

from pathlib import Path

import pytest

from resources.libvirt import (
    AlreadyThere,
    Connection,
    NotFound,
    NotOurs,
    Unsupported,
    observe,
    storage,
)
from tests.hypervisor import documents
from tests.hypervisor.documents import identity

POOL = identity("images")
BASE, SIZE = "/images/base.qcow2", 10 * 2**30


@pytest.fixture
def pool(simulated: Connection) -> Connection:
    storage.define_pool(simulated, documents.pool("images", Path("/images")))
    return simulated


def test_a_pool_of_somebody_else_is_not_touched(simulated: Connection) -> None:
    with pytest.raises(NotOurs, match="another pool"):
        storage.define_pool(simulated, documents.pool("default-pool", Path("/x")))
    with pytest.raises(NotOurs, match="another pool"):
        storage.delete_volume(simulated, identity("default-pool"), "x")


def test_a_pool_is_active_and_stays_what_it_is(simulated: Connection) -> None:
    wanted = documents.pool("images", Path("/images"))
    assert storage.define_pool(simulated, wanted) == "created"
    assert storage.define_pool(simulated, wanted) == "unchanged"
    found = observe(simulated).pool("images")
    assert found is not None
    assert (found.path, found.is_active, found.is_autostart) == ("/images", True, True)


def test_a_pool_that_was_stopped_is_started(pool: Connection) -> None:
    pool.handle().storagePoolLookupByName("images").destroy()
    assert storage.define_pool(pool, documents.pool("images", Path("/images"))) == "changed"


def test_a_pool_is_forgotten_once(pool: Connection) -> None:
    assert storage.undefine_pool(pool, POOL)
    assert not storage.undefine_pool(pool, POOL)


def test_an_overlay_is_made_once(pool: Connection) -> None:
    make = (pool, POOL, "one.qcow2")
    assert storage.overlay(*make, backing=BASE, capacity=SIZE) == "created"
    assert storage.overlay(*make, backing=BASE, capacity=SIZE) == "unchanged"
    found = storage.volume(*make)
    assert found is not None
    assert (found.backing, found.capacity, found.format) == (BASE, SIZE, "qcow2")


def test_an_overlay_of_another_file_is_not_replaced(pool: Connection) -> None:
    storage.overlay(pool, POOL, "one.qcow2", backing=BASE, capacity=SIZE)
    with pytest.raises(AlreadyThere, match=r"lies on /images/base.qcow2, not on /images/new"):
        storage.overlay(pool, POOL, "one.qcow2", backing="/images/new.qcow2", capacity=SIZE)


def test_an_overlay_never_shrinks(pool: Connection) -> None:
    storage.overlay(pool, POOL, "one.qcow2", backing=BASE, capacity=SIZE)
    made = storage.overlay(pool, POOL, "one.qcow2", backing=BASE, capacity=SIZE // 2)
    assert made == "unchanged"


def test_odd_names_stay_what_they_are(pool: Connection) -> None:
    name = "a <b> & 'c'.qcow2"
    storage.overlay(pool, POOL, name, backing="/x & y", capacity=1)
    found = observe(pool).pool("images")
    assert found is not None
    assert [(each.name, each.backing) for each in found.volumes] == [(name, "/x & y")]


def test_a_volume_needs_its_pool(simulated: Connection) -> None:
    with pytest.raises(NotFound, match="no such pool"):
        storage.overlay(simulated, POOL, "one.qcow2", backing=BASE, capacity=SIZE)


def test_a_volume_is_deleted_once(pool: Connection) -> None:
    storage.overlay(pool, POOL, "one.qcow2", backing=BASE, capacity=SIZE)
    assert storage.delete_volume(pool, POOL, "one.qcow2")
    assert not storage.delete_volume(pool, POOL, "one.qcow2")


def test_what_the_driver_cannot_do_is_told(pool: Connection) -> None:
    with pytest.raises(Unsupported):
        storage.upload(pool, POOL, "seed.iso", b"x")


def test_reading_what_is_not_there_says_so(pool: Connection) -> None:
    with pytest.raises(NotFound, match="no such volume"):
        storage.download(pool, POOL, "seed.iso")
