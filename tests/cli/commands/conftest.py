"""Commands on a hypervisor of this process, which libvirt's test driver is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.libvirt import Connection
from tests.hypervisor.bound import require_bindings
from tests.machines.conftest import Lab
from tests.machines.standing import written


@pytest.fixture
def lab() -> Iterator[Lab]:
    require_bindings()
    with Connection("test:///default") as connection:
        yield Lab(connection)


@pytest.fixture
def file(lab: Lab, tmp_path: Path) -> Path:
    """Both clusters, on that hypervisor."""
    return written(tmp_path, "test:///default")
