"""The host's libvirt with the settings that say what belongs on it; nothing is asked of it yet.

It reads what the pure parts need of the host: whether KVM works, its CPUs, the public key.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from cloud_assets.machines import spec
from cloud_assets.machines.desired import Desired
from cloud_assets.machines.domain_xml import Kind
from cloud_assets.machines.plan import Options, Plan, Rendering, plan
from cloud_assets.settings.machines import Clusters, Machines
from resources import kvm
from resources.errors import NeedsRepair
from resources.libvirt import Connection, Observation, observe

_KINDS: dict[str, Kind] = {"kvm": "kvm", "qemu": "qemu"}


@dataclass(frozen=True)
class Host:
    """One hypervisor and the clusters that a file wants on it."""

    settings: Machines
    desired: Desired

    @classmethod
    def of(cls, settings: Machines, clusters: Clusters) -> "Host":
        return cls(settings, spec.desired(clusters, settings))

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """Within, a connection. Raises NeedsRepair where libvirt, or its bindings, are missing."""
        with Connection(self.settings.uri) as connection:
            yield connection

    def plan(
        self, connection: Connection, options: Options | None = None, *, may_probe: bool = True
    ) -> Plan:
        """What has to change now; nothing is changed. KVM is tried only where `may_probe`."""
        observed = observe(connection)
        rendering = self.rendering(connection, observed, may_probe=may_probe)
        return plan(self.desired, observed, rendering, options)

    def outlook(self, connection: Connection, options: Options | None = None) -> Plan:
        """The same to be looked at alone: it takes no public key, and cannot be carried out."""
        if self.has_key():
            return self.plan(connection, options)
        observed = observe(connection)
        marks = {each.name: each.configured.mark or {} for each in observed.domains}
        seeds = {name: mark["seed"] for name, mark in marks.items() if mark.get("seed")}
        rendering = replace(self._rendering(connection, observed, key=""), seeds=seeds)
        return plan(self.desired, observed, rendering, options)

    def has_key(self) -> bool:
        """Whether there is the public key that machines are made with."""
        return os.access(self.settings.ssh_public_key, os.R_OK)

    def rendering(
        self, connection: Connection, observed: Observation, *, may_probe: bool = True
    ) -> Rendering:
        """What documents need of this host. Raises NeedsRepair where there is no public key."""
        return self._rendering(connection, observed, key=self._key(), may_probe=may_probe)

    def _rendering(
        self, connection: Connection, observed: Observation, *, key: str, may_probe: bool = True
    ) -> Rendering:
        kinds = {each.name: each.configured.kind for each in observed.domains}
        known = {name: _KINDS[kind] for name, kind in kinds.items() if kind in _KINDS}
        return Rendering(
            kind=self._verdict(connection, known) if may_probe else "qemu",
            host_cpus=os.cpu_count() or 1,
            user=self.settings.ssh_user,
            ssh_key=key,
            kinds=known,
        )

    def _verdict(self, connection: Connection, known: dict[str, Kind]) -> Kind:
        """KVM where a guest ran by it; asked only where a machine without a type is to be made."""
        undecided = [
            each for each in self.desired.machines
            if each.acceleration == "auto" and each.name not in known
        ]  # fmt: skip
        if not undecided or connection.is_test_driver:
            return "qemu"
        return "kvm" if kvm.works() else "qemu"

    def _key(self) -> str:
        path = self.settings.ssh_public_key
        try:
            return path.read_text("utf-8").strip()
        except OSError as error:
            raise NeedsRepair(
                "the host", "read the public key of its machines' user",
                f"{path}: {error.strerror or error}",
                hint="make one with `ssh-keygen -t ed25519`, or name it: machines.ssh_public_key",
            ) from error  # fmt: skip
