"""What does not go together in the description of clusters is told by its line, with the fix."""

from pathlib import Path

import pytest

from cloud_assets.settings_file import read_cluster_file
from tests.settings.cluster_texts import TWO, changed, problems

WORKER = "clusters.cloud.worker_nodes"
NODE = "clusters.hpc.compute_nodes"
SECOND_DEVICES = "clusters.cloud.worker_nodes.1.pcie_passthrough.devices"
AUDIO = '            - {pci_address: "0000:01:00.1", device_type: audio}\n'
GPU = '{pci_address: "0000:01:00.0", device_type: gpu}'
ALIKE = "{count: 2, cpu_cores: 4, memory_gb: 8, disk_gb: 60, ip: DHCP"


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.yaml"
    path.write_text(TWO)
    return path


def test_the_same_gpu_in_both_clusters_is_no_mistake(whole: Path) -> None:
    assert read_cluster_file(whole).clusters.cloud is not None


@pytest.mark.parametrize(
    ("pairs", "line", "words"),
    [
        ([("name: cloud", "name: hpc")], 25, "clusters.cloud.name: `hpc` is the hpc cluster's"),
        (
            [("subnet: 192.168.200.0/24", "subnet: 192.168.0.0/16")],
            28,
            "clusters.cloud.network.subnet: 192.168.0.0/16 overlaps 192.168.100.0/24 of the hpc",
        ),
        ([("virbr200", "virbr100")], 29, "clusters.cloud.network.bridge: `virbr100` is the hpc"),
        (
            [("ip: 192.168.200.11", "ip: 192.168.201.11")],
            32,
            f"{WORKER}.0.ip: 192.168.201.11 is not in 192.168.200.0/24",
        ),
        (
            [("ip: 192.168.200.12", "ip: 192.168.200.11")],
            36,
            f"{WORKER}.1.ip: 192.168.200.11 is the address of cloud-cpu-worker-01; take another",
        ),
        (
            [("ip: 192.168.100.12", "ip: 192.168.100.10")],
            22,
            f"{NODE}.1.ip: 192.168.100.10 is the address of hpc-controller; take another",
        ),
        ([("200.10}", "200.0}")], 30, "control_plane.ip_address: 192.168.200.0 is an end of"),
        ([("200.10}", "200.255}")], 30, "control_plane.ip_address: 192.168.200.255 is an end of"),
        ([("200.10}", "200.1}")], 30, "control_plane.ip_address: 192.168.200.1 is the host's own"),
        (
            [("base_image_path: hpc.qcow2\n", "hardware: {}\n")],
            8,
            "clusters.hpc.controller.base_image_path: hpc-controller has no image; set base_image",
        ),
        (
            [("ip: 192.168.100.12", "ip: 192.168.100.12\n        pcie_passthrough: {enabled: true,"
              f" devices: [{GPU}, {AUDIO.strip(' -')[:-1]}]}}")],
            23,
            f"{NODE}.1.pcie_passthrough.devices.0.pci_address: 0000:01:00.0 is hpc-compute-01's "
            "already, and a device belongs to one machine of a cluster; take it from one",
        ),
        (
            [(AUDIO, f"            - {GPU}\n")],
            18,
            f"{NODE}.0.pcie_passthrough.devices.1.pci_address: 0000:01:00.0 stands twice; remove",
        ),
        (
            [(AUDIO, "")],
            17,
            f"{NODE}.0.pcie_passthrough.devices.0: 0000:01:00.0 and 0000:01:00.1, which "
            "cloud-gpu-worker-01 has, are of one slot 0000:01:00, and one machine gets all of it; "
            "add 0000:01:00.1 to hpc-compute-01 too",
        ),
        (
            [("    slurm_config: {partitions: [gpu]", "    slurm_config: {partitions: [cpu]")],
            23,
            "clusters.hpc.slurm_config: default_partition `gpu` is none of the partitions",
        ),
        (
            [("subnet: 192.168.200.0/24", "subnet: 192.168.200.8/29")],
            28,
            "clusters.cloud.network.subnet: 192.168.200.8/29 has addresses for 5 machines",
        ),
    ],
)  # fmt: skip
def test_a_conflict_is_told_by_its_line(
    tmp_path: Path, pairs: list[tuple[str, str]], line: int, words: str
) -> None:
    text = changed(*pairs)
    if "/29" in text:
        text = text.replace("      - {cpu_cores: 4", "      - {cpu_cores: 4", 1).replace(
            "    worker_nodes:\n", "    worker_nodes:\n" + "      - {cpu_cores: 4, memory_gb: 8, "
            "disk_gb: 60, ip: DHCP}\n" * 5,
        )  # fmt: skip
    found = problems(tmp_path, text)
    assert [each for each in found if each.startswith(f"{line}: ") and words in each], found


def test_only_what_is_wrong_is_told(tmp_path: Path) -> None:
    text = changed(("ip: 192.168.200.12", "ip: 192.168.200.11"), ("virbr200", "virbr100"))
    assert [each.split(":")[0] for each in problems(tmp_path, text)] == ["29", "36"]


def test_conflicts_are_told_beside_wrong_values_of_the_same_machine(tmp_path: Path) -> None:
    text = changed(("disk_gb: 60, ip: 192.168.200.11", "disk_gb: 6, ip: 192.168.200.10"))
    assert problems(tmp_path, text) == [
        f"32: {WORKER}.0.disk_gb: is too small; take at least 10",
        f"32: {WORKER}.0.ip: 192.168.200.10 is the address of cloud-control-plane; take another",
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("cpu_cores: 4, memory_gb: 8, disk_gb: 60, ip: 192.168.200.11", "ip: 192.168.200.11"),
        ("disk_gb: 60, ip_address: 192.168.200.10", "disk_gb: 60, ip_address: DHCP"),
        ("bridge: virbr200", "bridge: [virbr200]"),
        ("      - cpu_cores: 8", "      - cpu_cores: eight"),
        ("          enabled: true", "          enabled: maybe"),
    ],
)
def test_a_wrong_value_makes_no_conflicts_of_its_own(tmp_path: Path, old: str, new: str) -> None:
    words = ("missing", "no address", "is no", "neither", "well-formed")
    for each in problems(tmp_path, changed((old, new))):
        assert any(word in each for word in words), each


def by_kind(cpu: str, gpu: str) -> str:
    before, _, after = TWO.partition("    worker_nodes:\n")
    rest = after[after.index("    kubernetes_config") :]
    return f"{before}    worker_nodes:\n      cpu: {cpu}\n      gpu: {gpu}\n{rest}"


CPU = "{cpu_cores: 4, memory_gb: 8, disk_gb: 60, ip: DHCP}"
WITH_GPU = (
    "{cpu_cores: 4, memory_gb: 8, disk_gb: 60, ip: DHCP, pcie_passthrough: {enabled: true, "
    'devices: [{pci_address: "0000:02:00.0", device_type: gpu}]}}'
)


def test_workers_by_their_kind_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(by_kind(f"[{CPU}]", f"[{WITH_GPU}]"))
    assert read_cluster_file(path).clusters.cloud is not None


@pytest.mark.parametrize(
    ("cpu", "gpu", "words"),
    [
        ("[]", "[]", "31: clusters.cloud.worker_nodes: names no machine; a cluster needs"),
        ("[]", f"[{CPU}]", "33: clusters.cloud.worker_nodes.gpu.0: no GPU is passed to it; enable"),
        (f"[{WITH_GPU}]", "[]", "32: clusters.cloud.worker_nodes.cpu.0: a GPU is passed to it, or"),
        (f"[{CPU[:-1]}, worker_type: gpu}}]", "[]", "32: clusters.cloud.worker_nodes.cpu.0.worker"),
    ],
)
def test_a_worker_of_another_kind_is_told(tmp_path: Path, cpu: str, gpu: str, words: str) -> None:
    [problem] = problems(tmp_path, by_kind(cpu, gpu))
    assert problem.startswith(words)


def alike(more: str = "") -> str:
    before, _, after = TWO.partition("    worker_nodes:\n")
    rest = after[after.index("    kubernetes_config") :]
    return f"{before}    worker_nodes: {ALIKE}{more}}}\n{rest}"


def test_machines_that_are_alike_cannot_have_the_same_gpu(tmp_path: Path) -> None:
    devices = f", pcie_passthrough: {{enabled: true, devices: [{GPU}]}}"
    found = problems(tmp_path, alike(devices))
    assert any("0000:01:00.0 is cloud-gpu-worker-01's already" in each for each in found)


@pytest.mark.parametrize("count", [0, -1, 100])
def test_a_number_of_machines_that_cannot_be_is_told(tmp_path: Path, count: int) -> None:
    [problem] = problems(tmp_path, alike().replace("count: 2", f"count: {count}"))
    assert problem.startswith("31: clusters.cloud.worker_nodes.count: is too ")


def grouped(first: int, second: int) -> str:
    """Two functions of one slot with groups of their own, on two machines of the HPC cluster."""
    text = changed(
        (f"            - {GPU}\n{AUDIO}", f"            - {GPU[:-1]}, iommu_group: {first}}}\n"),
        ("ip: 192.168.100.12", "ip: 192.168.100.12\n        pcie_passthrough: {enabled: true, "
         f"devices: [{AUDIO.strip(' -')[:-2]}, iommu_group: {second}}}]}}"),
    )  # fmt: skip
    return text[: text.index("  cloud:")]


def test_functions_of_a_slot_in_groups_of_their_own_may_be_parted(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(grouped(14, 15))
    assert read_cluster_file(path).clusters.hpc is not None


def test_functions_of_a_group_may_not(tmp_path: Path) -> None:
    found = problems(tmp_path, grouped(14, 14))
    assert ["of one IOMMU group 14" in each for each in found] == [True, True]


def test_a_device_has_one_group(tmp_path: Path) -> None:
    text = TWO.replace(GPU, f"{GPU[:-1]}, iommu_group: 14}}", 1)
    first, _, last = text.rpartition(GPU)
    [problem] = problems(tmp_path, f"{first}{GPU[:-1]}, iommu_group: 15}}{last}")
    assert "0000:01:00.0 is in group 14 elsewhere in this file" in problem


@pytest.mark.parametrize(
    ("hardware", "words"),
    [
        ("cpu_topology: {sockets: 3, cores: 2, threads: 1}", "2 CPUs do not make 3 sockets"),
        ("numa_topology: {nodes: 4}", "2 CPUs are fewer than the 4 NUMA nodes"),
        ("numa_topology: {nodes: 2, memory_per_node: 1024}", "are not 4 GiB; leave memory_per"),
    ],
)
def test_a_processor_that_a_machine_cannot_have_is_told(
    tmp_path: Path, hardware: str, words: str
) -> None:
    given = f"    hardware: {{acceleration: {{{hardware}}}}}\n    controller: "
    found = problems(tmp_path, changed(("    controller: ", given)))
    assert any(words in each and "clusters.hpc.controller" in each for each in found)


def test_storage_on_a_machine_that_is_not_there_is_told(tmp_path: Path) -> None:
    storage = "    storage: {beegfs: {enabled: true, mount_point: /mnt, storage_nodes: [node-7]}}\n"
    text = changed(("    slurm_config", f"{storage}    slurm_config"))
    assert problems(tmp_path, text) == [
        "23: clusters.hpc.storage.beegfs.storage_nodes.0: no machine goes by `node-7`; there are "
        "controller, compute-01, compute-02"
    ]


def test_a_mount_stands_once(tmp_path: Path) -> None:
    mount = "{tag: a, host_path: /a, mount_point: /mnt}"
    text = changed(("200.10}", f"200.10, virtio_fs_mounts: [{mount}, {mount}]}}"))
    place = "30: clusters.cloud.control_plane.virtio_fs_mounts.1"
    assert [each.partition(": `")[0] for each in problems(tmp_path, text)] == [
        f"{place}.mount_point",
        f"{place}.tag",
    ]
