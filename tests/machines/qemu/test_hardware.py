"""What a file can say of a machine's hardware starts on QEMU, and is found as it was asked for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machines.conftest import SMALL
from tests.machines.qemu.emulated import LEADER, MEBIBYTE, Emulated, alone, errors

pytestmark = pytest.mark.hypervisor

_PAGES = Path("/sys/kernel/mm/hugepages/hugepages-2048kB")
NEEDED = 128 // 2
TWO_CPUS = {**SMALL, "cpu_cores": 2, "ip_address": "192.168.100.10"}


def hardware(**acceleration: object) -> dict[str, object]:
    return {"acceleration": {"enable_kvm": False, **acceleration}}


@pytest.fixture
def pages() -> Iterator[None]:
    """Huge pages for one machine beside those that are there; given back afterwards."""
    reserved = _PAGES / "nr_hugepages"
    try:
        before = int(reserved.read_text())
        reserved.write_text(str(before + NEEDED))
    except OSError as problem:
        pytest.skip(f"this kernel reserves no huge pages: {problem}")
    try:
        got = int(reserved.read_text()) - before
        if got < NEEDED:
            pytest.skip(f"this kernel had {got} huge pages of {NEEDED} to give")
        yield
    finally:
        reserved.write_text(str(before))


def starts(qemu: Emulated, image: Path, given: dict[str, object], **leader: object) -> str:
    """The document that its leader runs by; nothing of it differs from the file."""
    desired = alone(
        qemu.cluster(image, hardware=given, controller={**TWO_CPUS, **leader})
    )  # fmt: skip
    assert [str(each) for each in errors(qemu.apply(desired))] == []
    assert qemu.active() == {LEADER}
    assert [str(each) for each in qemu.plan(desired).pending] == []
    return qemu.domain(LEADER).xml


@pytest.mark.parametrize("model", ["host-model", "host-passthrough", "qemu64"])
def test_every_processor_of_a_file_runs_without_kvm(
    model: str, qemu: Emulated, image: Path
) -> None:
    starts(qemu, image, hardware(cpu_model=model))


@pytest.mark.parametrize(
    "given",
    [
        {"cpu_features": ["+aes", "-pcid"]},
        {"cpu_topology": {"sockets": 1, "cores": 1, "threads": 2}},
        {"numa_topology": {"nodes": 2}},
        {"numa_topology": {"nodes": 3}, "cpu_topology": {"sockets": 3, "cores": 1, "threads": 1}},
        {"enable_nested": True},
        {"performance": {"memory_backing": "memfd"}},
        {"performance": {"cpu_pinning": True}},
    ],
    ids=lambda given: "-".join(given),
)
def test_a_shape_of_the_processor_or_the_memory_starts(
    given: dict[str, object], qemu: Emulated, image: Path
) -> None:
    starts(qemu, image, hardware(**given), cpu_cores=6)


def test_each_cpu_of_a_pinned_machine_stays_on_its_own(qemu: Emulated, image: Path) -> None:
    xml = starts(qemu, image, hardware(performance={"cpu_pinning": True}))
    assert [f"<vcpupin vcpu='{each}' cpuset='{each}'/>" in xml for each in (0, 1)] == [True, True]


@pytest.mark.usefixtures("pages")
@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("shared", [False, True])
def test_memory_is_in_huge_pages(
    nodes: int, shared: bool, qemu: Emulated, image: Path, tmp_path: Path
) -> None:
    free = _PAGES / "free_hugepages"
    before = int(free.read_text())
    given = hardware(
        numa_topology={"nodes": nodes},
        performance={"enable_hugepages": True, "memory_backing": "hugepages"},
    )
    starts(qemu, image, given, **(mounts(tmp_path) if shared else {}))
    # What a guest has not touched is reserved, and nobody else's any more.
    left = int(free.read_text()) - int((_PAGES / "resv_hugepages").read_text())
    assert before - left == 128 * MEBIBYTE // (2 * MEBIBYTE)


def mounts(directory: Path) -> dict[str, object]:
    return {
        "virtio_fs_mounts": [
            {"tag": "shared", "host_path": str(directory), "mount_point": "/shared"}
        ]
    }


@pytest.mark.parametrize("given", [{}, {"numa_topology": {"nodes": 2}}], ids=["plain", "numa"])
def test_a_directory_of_the_host_is_offered(
    given: dict[str, object], qemu: Emulated, image: Path, tmp_path: Path
) -> None:
    starts(qemu, image, hardware(**given), **mounts(tmp_path))


def test_a_directory_that_the_host_does_not_have_is_named(
    qemu: Emulated, image: Path, tmp_path: Path
) -> None:
    wanted = mounts(tmp_path / "nowhere")
    desired = alone(qemu.cluster(image, controller={**TWO_CPUS, **wanted}))
    [error] = errors(qemu.apply(desired))
    assert str(tmp_path / "nowhere") in str(error)
    assert qemu.names() == set()
