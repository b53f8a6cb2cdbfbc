"""The host's libvirt with the settings that say what belongs on it; nothing is asked of it yet.

It reads what the pure parts need of the host: whether KVM works, its CPUs, the public key.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

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
        return plan(
            self.desired,
            observed,
            self.rendering(connection, observed, may_probe=may_probe),
            options,
        )

    def rendering(
        self, connection: Connection, observed: Observation, *, may_probe: bool = True
    ) -> Rendering:
        """What documents need of this host. Raises NeedsRepair where there is no public key."""
        kinds = {each.name: each.configured.kind for each in observed.domains}
        known = {name: _KINDS[kind] for name, kind in kinds.items() if kind in _KINDS}
        return Rendering(
            kind=self._verdict(connection, known) if may_probe else "qemu",
            host_cpus=os.cpu_count() or 1,
            user=self.settings.ssh_user,
            ssh_key=self._key(),
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
