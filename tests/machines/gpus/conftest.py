"""The machines of two clusters on libvirt's test driver, defined and off."""

from collections.abc import Iterator

import pytest

from cloud_assets.machines.gpus.site import GpuSite
from tests.hypervisor.bound import require_bindings
from tests.machines.gpus import site as sites


@pytest.fixture
def site() -> Iterator[GpuSite]:
    require_bindings()
    found = sites.site()
    with found.connection:
        for each in found.desired.machines:
            sites.define(found.connection, each)
        yield found
