"""The machines of two clusters on libvirt's test driver, defined and off."""

from collections.abc import Iterator

import pytest

from cloud_assets.machines.gpus.site import GpuSite
from resources.errors import NeedsRepair
from resources.libvirt.api import bindings
from tests.machines.gpus import site as sites


@pytest.fixture
def site() -> Iterator[GpuSite]:
    try:
        bindings.bindings()
    except NeedsRepair as problem:
        pytest.skip(f"{problem}; {problem.hint}")
    found = sites.site()
    with found.connection:
        for each in found.desired.machines:
            sites.define(found.connection, each)
        yield found
