"""Keys that nobody knows: those that the earlier tool let through, and those that are mistakes."""

from pathlib import Path

import pytest

from cloud_assets.settings_file import look_at_cluster_file, read_cluster_file
from tests.settings.cluster_texts import EXAMPLES, TWO, changed, problems

CONTROLLER = "ip_address: 192.168.100.10"
WORKER = "disk_gb: 60, ip: 192.168.200.11"
RUNTIME = "container_runtime: {enabled: true, runtime_type: apptainer, dependencies: [fuse]}"


def warnings(directory: Path, text: str) -> list[str]:
    """What has no effect in a file, each without the name of the file."""
    path = directory / "cluster.yaml"
    path.write_text(text)
    return [each.removeprefix(f"{path}:") for each in look_at_cluster_file(path).warnings]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (CONTROLLER, f"{CONTROLLER}, {RUNTIME}", "8: clusters.hpc.controller.container_runtime: "),
        (WORKER, f"{WORKER}, node_type: cpu", "32: clusters.cloud.worker_nodes.0.node_type: "),
        (WORKER, f"{WORKER}, hostname: w", "32: clusters.cloud.worker_nodes.0.hostname: "),
        ("virbr100", "virbr100\n      gateway: x", "8: clusters.hpc.network.gateway: "),
        ("virbr100", "virbr100\n      name: x", "8: clusters.hpc.network.name: "),
        ("cni: calico", "cni: calico, version: x", "43: clusters.cloud.kubernetes_config.version"),
        (
            CONTROLLER,
            f"{CONTROLLER}, pcie_passthrough: {{enabled: false}}",
            "8: clusters.hpc.controller.pcie_passthrough: ",
        ),
        ("clusters:\n", "metadata: {name: a, owner: b}\nclusters:\n", "1: metadata.owner: "),
    ],
)
def test_what_the_earlier_tool_let_through_is_told_and_loads(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    [found] = warnings(tmp_path, changed((old, new)))
    assert found.startswith(told)
    assert "has no effect" in found


def test_it_changes_nothing_of_what_is_read(tmp_path: Path) -> None:
    plain, more = tmp_path / "plain.yaml", tmp_path / "more.yaml"
    plain.write_text(TWO)
    more.write_text(changed((CONTROLLER, f"{CONTROLLER}, {RUNTIME}")))
    assert read_cluster_file(plain) == read_cluster_file(more)


def test_what_anchors_share_is_told_where_it_stands(tmp_path: Path) -> None:
    text = (EXAMPLES / "shared-gpu.yaml").read_text().replace("enabled: true", "enabled: true\n"
        "          model: x")  # fmt: skip
    found = warnings(tmp_path, text)
    line = text[: text.index("model: x")].count("\n") + 1
    assert found
    assert all(each.startswith(f"{line}: clusters.") for each in found)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (WORKER, f"{WORKER}, auto_strat: false", "did you mean auto_start?"),
        (WORKER, f"{WORKER}, Auto_Start: false", "did you mean auto_start?"),
        (WORKER, f"{WORKER}, pci_passthrough: {{}}", "did you mean pcie_passthrough?"),
        (CONTROLLER, f"{CONTROLLER}, virtiofs_mounts: []", "did you mean virtio_fs_mounts?"),
        (WORKER, f"{WORKER}, image_path: x.qcow2", "it is called base_image_path"),
        ("    slurm_config", "    hardwares: {}\n    slurm_config", "did you mean hardware?"),
    ],
)
def test_what_is_spelt_almost_like_a_setting_is_a_mistake(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    [found] = problems(tmp_path, changed((old, new)))
    assert told in found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("test_settings: {}\n" + TWO, "1: test_settings: no such setting"),
        (changed(("  hpc:\n", "  storage:\n    x: 1\n  hpc:\n")), "2: clusters.storage: no such"),
        (f"{TWO}platform:\n  container_runtime: x\n", "platform.container_runtime: no such"),
        (f"{TWO}platform:\n  machines: {{gateway: x}}\n", "platform.machines.gateway: no such"),
    ],
)
def test_where_the_earlier_schema_was_closed_and_in_the_platforms_part_all_is_a_mistake(
    tmp_path: Path, text: str, told: str
) -> None:
    [found] = problems(tmp_path, text)
    assert told in found


def test_beside_mistakes_only_these_are_told(tmp_path: Path) -> None:
    text = changed((CONTROLLER, f"{CONTROLLER}, {RUNTIME}"), ("disk_gb: 40", "disk_gb: 4"))
    [found] = problems(tmp_path, text)
    assert "disk_gb" in found


def test_a_part_of_a_gpu_is_no_warning(tmp_path: Path) -> None:
    [found] = problems(tmp_path, changed((WORKER, f"{WORKER}, mig_uuid: GPU-1")))
    assert "a part of a GPU cannot be given" in found


@pytest.mark.parametrize("path", sorted(EXAMPLES.iterdir()), ids=lambda path: str(path.name))
def test_the_examples_have_none(path: Path) -> None:
    assert look_at_cluster_file(path).warnings == ()
