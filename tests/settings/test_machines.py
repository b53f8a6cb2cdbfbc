"""Values in the description of clusters: what is refused, by its line and with the fix."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from cloud_assets.settings.machines import Passthrough, PciDevice
from cloud_assets.settings_file import read_cluster_file
from resources.errors import UsageError
from tests.settings.cluster_texts import EXAMPLES, TWO, changed, problems

WORKER = "disk_gb: 60, ip: 192.168.200.11"


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("name: hpc", "name: a/b", 3, "`a/b` is no name for a cluster"),
        ("name: hpc", "name: ' '", 3, "` ` is no name for a cluster"),
        ("name: hpc", "name: -x", 3, "`-x` is no name for a cluster"),
        ("name: hpc", f"name: {'x' * 41}", 3, "at most 40"),
        ("name: hpc", "name: 7", 3, "clusters.hpc.name: is no text; put it in quotes"),
        ("name: hpc", 'name: "hpc\\n"', 3, "is no name for a cluster"),
        ("hpc.qcow2", "hpc.img", 4, "`hpc.img` is no base image; name a file that ends in .qcow2"),
        ("192.168.100.0/24", "192.168.100.0", 6, "is no subnet of /8 to /29"),
        ("192.168.100.0/24", "192.168.100.0/31", 6, "is no subnet of /8 to /29"),
        ("192.168.100.0/24", "192.168.300.0/24", 6, "is no IPv4 subnet"),
        ("virbr100", "virbr100-of-the-hpc", 7, "has at most 15 letters"),
        ("cpu_cores: 2", "cpu_cores: 0", 8, "cpu_cores: is too small; take at least 1"),
        ("cpu_cores: 2", 'cpu_cores: "2"', 8, "is no whole number; write one without quotes"),
        ("cpu_cores: 2", "cpu_cores: true", 8, "is no whole number"),
        ("cpu_cores: 2", "cpu_cores: 2.0", 8, "is no whole number"),
        ("disk_gb: 40", "disk_gb: 9", 8, "disk_gb: is too small; take at least 10"),
        ("ip_address: 192.168.100.10", "ip_address: DHCP", 8, "DHCP is no address; this machine"),
        ("ip_address: 192.168.100.10", "ip_address: 1.2.3", 8, "`1.2.3` is no IPv4 address"),
        (", ip_address: 192.168.100.10", "", 8, "controller.ip_address: is missing; add it"),
        ("ip: 192.168.100.11", "ip: dhcp", 13, "`dhcp` is no IPv4 address, as in 192.168.100.10, "),
        ("ip: 192.168.100.11", "ip: 7", 13, "`7` is no text; put it in quotes"),
        ("enabled: true", 'enabled: "true"', 15, "is neither true nor false"),
        ('"0000:01:00.0"', "0000:01:00.0", 17, "pci_address: is no text; put it in quotes"),
        ('"0000:01:00.0"', '"01:00.0"', 17, "`01:00.0` is no PCI address; write it as `lspci -D`"),
        ("device_type: gpu", "device_type: tpu", 17, "'gpu', 'audio'"),
        ("device_type: gpu", "device_type: gpu, device_id: 2805", 17, "put it in quotes"),
        (WORKER, f"{WORKER}, mig_uuid: GPU-1", 32, "a part of a GPU cannot be given"),
        (WORKER, f"{WORKER}, gpu_config: {{mode: mig}}", 32, "a part of a GPU cannot be given"),
        (WORKER, f"{WORKER}, auto_strat: false", 32, "did you mean auto_start?"),
        (WORKER, f"{WORKER}, worker_type: tpu", 32, "'cpu' or 'gpu'"),
        ("storage_class: local-path", "", 43, "kubernetes_config.storage_class: is missing"),
        ("clusters:\n", "version: 1.0\nclusters:\n", 1, 'write "1.0", with the quotes'),
        ("clusters:\n", "machines: {}\nclusters:\n", 1, "machines: no such setting"),
        ("  hpc:\n", "  hpc2:\n", 2, "clusters.hpc2: no such setting"),
        ("name: hpc", "name: hpc\n    name: hpc", 4, "clusters.hpc.name: stands in line 3 already"),
    ],
)
def test_a_wrong_value_is_told_by_its_line(
    tmp_path: Path, old: str, new: str, line: int, words: str
) -> None:
    found = problems(tmp_path, changed((old, new)))
    assert [each for each in found if each.startswith(f"{line}: ") and words in each], found


@pytest.mark.parametrize("given", ["seven", "7", "", "[]", "[[]]", "{cpu_workers: []}", "{cpu: 7}"])
def test_workers_in_no_known_shape_are_told(tmp_path: Path, given: str) -> None:
    before, _, after = TWO.partition("    worker_nodes:\n")
    rest = after[after.index("    kubernetes_config") :]
    found = problems(tmp_path, f"{before}    worker_nodes: {given}\n{rest}")
    assert all(each.startswith("31: clusters.cloud.worker_nodes") for each in found)


def test_compute_nodes_have_no_kinds(tmp_path: Path) -> None:
    text = changed(("    compute_nodes:\n", "    compute_nodes: {cpu: []}\n    other:\n"))
    found = problems(tmp_path, text)
    assert "9: clusters.hpc.compute_nodes: is neither a list of machines nor one" in "\n".join(
        found
    )


def test_all_problems_of_all_parts_are_told_at_once(tmp_path: Path) -> None:
    text = changed(("cpu_cores: 2", "cpu_cores: two"), ("virbr200", "virbr100"))
    found = problems(tmp_path, f"{text}platform:\n  hoem: x\n")
    assert [each.split(":")[0] for each in found] == ["8", "29", "45"]


def test_passthrough_without_a_device_is_refused() -> None:
    with pytest.raises(ValidationError, match="name its devices, or set enabled: false"):
        Passthrough(enabled=True)


def test_gpus_come_first() -> None:
    devices = tuple(
        PciDevice(pci_address=address, device_type=kind)
        for address, kind in [("0000:01:00.1", "audio"), ("0000:01:00.0", "gpu")]
    )
    found = Passthrough(enabled=True, devices=devices).passed
    assert [each.pci_address for each in found] == ["0000:01:00.0", "0000:01:00.1"]


def test_a_device_that_is_not_enabled_is_not_passed() -> None:
    device = PciDevice(pci_address="0000:01:00.0", device_type="gpu")
    assert Passthrough(devices=(device,)).passed == ()


def test_host_bits_of_a_subnet_are_let_go(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(changed(("192.168.100.0/24", "192.168.100.7/24")))
    hpc = read_cluster_file(path).clusters.hpc
    assert hpc is not None
    assert str(hpc.network.subnet) == "192.168.100.0/24"


@pytest.mark.parametrize("indicator", [None, ".git"])
def test_images_are_relative_to_the_project(tmp_path: Path, indicator: str | None) -> None:
    path = tmp_path / "config" / "cluster.yaml"
    path.parent.mkdir()
    path.write_text(TWO)
    if indicator:
        (tmp_path / indicator).mkdir()
    hpc = read_cluster_file(path).clusters.hpc
    assert hpc is not None
    project = tmp_path if indicator else path.parent
    assert hpc.base_image_path == str(project / "hpc.qcow2")


def test_a_file_without_clusters_is_the_platforms_alone(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text("platform: {home: here}\n")
    found = read_cluster_file(path)
    assert (found.clusters.hpc, found.platform.home) == (None, tmp_path / "here")


def test_a_mistake_in_the_clusters_does_not_stop_who_asks_for_the_platform(tmp_path: Path) -> None:
    from cloud_assets.settings_file import read_settings

    path = tmp_path / "cluster.yaml"
    path.write_text("clusters:\n  hpc: ${NOWHERE}\nplatform: {home: here}\n")
    assert read_settings(path).home == tmp_path / "here"


def test_where_no_file_is_one_must_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cloud_assets.settings_file import load_cluster_file

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AI_HOW_CLUSTER", raising=False)
    with pytest.raises(UsageError, match=r"no cluster\.yaml here"):
        load_cluster_file()


@pytest.mark.parametrize("path", sorted(EXAMPLES.iterdir()), ids=lambda path: str(path.name))
def test_an_example_is_valid(path: Path) -> None:
    found = read_cluster_file(path).clusters
    assert found.hpc or found.cloud


def test_parts_may_be_empty(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text("metadata:\nglobal:\nclusters:\n  hpc:\nplatform:\n")
    assert read_cluster_file(path).clusters.hpc is None
