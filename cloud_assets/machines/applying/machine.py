"""Making, changing and removing one machine, and taking back what was made when that fails."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from cloud_assets.machines.applying.progress import Listener, Phase, Step
from cloud_assets.machines.domain_xml import pool_identity, seed_name
from cloud_assets.machines.planning.change import Blueprint, Change
from cloud_assets.machines.planning.machines import SEED_PATH, starts_with_host
from cloud_assets.machines.planning.removals import volumes_of
from resources.errors import ExternalError
from resources.libvirt import (
    Connection,
    Identity,
    NotFound,
    Outcome,
    Unsupported,
    domains,
    observation,
    seed,
    snapshots,
    storage,
)


@dataclass
class Making:
    """One machine under way; `made` is how each thing of this run is taken back, oldest first."""

    connection: Connection
    drawn: Blueprint
    told: Listener
    made: list[tuple[str, Callable[[], object]]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.drawn.machine.name

    @property
    def pool(self) -> Identity:
        return pool_identity(self.drawn.machine.cluster)

    def apply(self, change: Change) -> None:
        """Make it as the change says; it is not waited until it has booted."""
        paths = {each.path for each in change.differences}
        is_new = change.action in ("create", "replace")
        if change.action == "replace":
            self._clear()
        if is_new or any(each.startswith("disk") and "[" not in each for each in paths):
            self._volume()
        if is_new or SEED_PATH in paths:
            self._seed()
        if change.action != "start":
            self._define()
        if change.starts:
            self._start()

    def take_back(self) -> None:
        """What this run made goes, the newest first; what was there before stays."""
        while self.made:
            what, undo = self.made.pop()
            self._say("take back", what)
            with suppress(ExternalError):
                undo()

    def _clear(self) -> None:
        self._say("stop")
        domains.destroy(self.connection, self.drawn.identity)
        with suppress(NotFound):
            snapshots.forget(self.connection, self.drawn.identity)
        for name in volumes_of(self.name):
            storage.delete_volume(self.connection, self.pool, name)

    def _volume(self) -> None:
        volume = self.drawn.machine.volume
        self._say("volume", volume.name)
        outcome = storage.overlay(
            self.connection, self.pool, volume.name,
            backing=str(volume.backing), capacity=volume.capacity_bytes,
        )  # fmt: skip
        self._remember_volume(outcome, volume.name)

    def _seed(self) -> None:
        name = seed_name(self.name)
        self._say("seed", name)
        outcome: Outcome = "created"
        try:
            outcome = storage.upload(
                self.connection, self.pool, name, seed.image(self.drawn.seed)
            )  # fmt: skip
        except Unsupported:
            # The volumes of the test driver have no content.
            if not self.connection.is_test_driver:
                raise
        self._remember_volume(outcome, name)

    def _define(self) -> None:
        self._say("define")
        identity = self.drawn.identity
        if domains.define(self.connection, self.drawn.document.xml) == "created":
            self.made.append((self.name, lambda: domains.undefine(self.connection, identity)))
        domains.set_autostart(self.connection, identity, starts_with_host(self.drawn.machine))

    def _start(self) -> None:
        self._say("start")
        identity = self.drawn.identity
        is_new = any(what == self.name for what, _ in self.made)
        if domains.start(self.connection, identity) and is_new:
            self.made.append(("its run", lambda: domains.destroy(self.connection, identity)))

    def _remember_volume(self, outcome: Outcome, name: str) -> None:
        if outcome == "created":
            self.made.append(
                (name, lambda: storage.delete_volume(self.connection, self.pool, name))
            )

    def _say(self, phase: Phase, said: str = "") -> None:
        self.told(Step(self.name, phase, said))


def see_consoles(connection: Connection, cluster: str) -> None:
    """Have libvirt know of the files of consoles, which come into the pool behind its back."""
    with suppress(ExternalError):
        storage.refresh(connection, pool_identity(cluster))


def remove(connection: Connection, cluster: str, name: str) -> None:
    """A machine of ours with its disk, the definition last: it tells what is left to remove."""
    found = observation.domain(connection, name)
    identity = found.identity if found else None
    if identity is not None:
        domains.destroy(connection, identity)
    for volume in volumes_of(name):
        storage.delete_volume(connection, pool_identity(cluster), volume)
    if identity is not None:
        domains.undefine(connection, identity)
