"""Inventories as agreed in tests/data/machines; AI_HOW_WRITE_GOLDEN=1 writes them anew."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cloud_assets.machines.inventories import groups
from cloud_assets.machines.inventories.groups import Group, Inventory, Reached
from cloud_assets.machines.inventories.rendering import rendered
from tests.hypervisor import ansible
from tests.machines.conftest import cloud, hpc, wanted
from tests.testbed.build import cache

GOLDEN = Path(__file__).parents[2] / "data" / "machines"
ARGUMENTS = "-o 'UserKnownHostsFile=\"/a b/known_hosts\"' -o HostKeyAlias=0b5a.1700000000.5"
CLUSTERS = wanted(hpc=hpc(), cloud=cloud()).clusters


def reached(number: int) -> list[Reached]:
    said = {"ansible_ssh_common_args": ARGUMENTS}
    return [
        Reached(each, str(each.ip or f"{each.cluster}.lease"), said)
        for each in CLUSTERS[number].machines
    ]


def of_hpc() -> Inventory:
    return groups.slurm(CLUSTERS[0], reached(0), user="admin", key="/keys/id one")


def of_cloud() -> Inventory:
    return groups.kubespray(reached(1), user="admin", key="/keys/id one")


INVENTORIES: dict[str, Callable[[], Inventory]] = {"hpc": of_hpc, "cloud": of_cloud}
FORMS = [(name, form) for name in INVENTORIES for form in ("ini", "yaml")]


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_an_inventory_is_as_it_was_agreed(name: str, form: str) -> None:
    file = GOLDEN / f"inventory-{name}.{form}"
    written = rendered(INVENTORIES[name](), form)
    if os.environ.get("AI_HOW_WRITE_GOLDEN") == "1":
        file.write_text(written, "utf-8")
    assert written == file.read_text("utf-8")


def test_gpu_hosts_carry_labels_and_taints_as_kubespray_takes_them() -> None:
    found = of_cloud().hosts
    assert [name for name, said in found.items() if "node_taints" in said] == ["gpu-worker-01"]
    assert found["gpu-worker-01"]["node_labels"]["workload-type"] == "gpu"
    assert found["gpu-worker-01"]["node_taints"] == ["nvidia.com/gpu=present:NoSchedule"]


def test_without_a_worker_the_control_plane_is_a_node() -> None:
    alone = groups.kubespray(reached(1)[:1], user="admin", key="/k")
    assert Group("kube_node", ("control-plane",)) in alone.groups


@pytest.mark.parametrize("value", ["1", "True", "['a']", "a b", "it's", 'say "so"', "#", "a=b"])
def test_texts_stay_texts(value: str) -> None:
    inventory = Inventory({"h": {"v": value}}, (), {})
    assert yaml.safe_load(rendered(inventory, "yaml"))["all"]["hosts"]["h"]["v"] == value


def listed(text: str, file: Path) -> dict[str, Any]:
    """What Ansible itself makes of it."""
    file.write_text(text, "utf-8")
    python = cache.have(ansible.ansible_core()) / "bin" / "python"
    ran = subprocess.run(
        [python, "-W", "error", "-m", "ansible", "inventory", "-i", file, "--list"],
        capture_output=True, text=True, check=True, cwd=file.parent, timeout=120,
        env={**os.environ, "ANSIBLE_LOCALHOST_WARNING": "false", "ANSIBLE_HOME": str(file.parent)},
    )  # fmt: skip
    assert ran.stderr == ""
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


@pytest.mark.hypervisor
@pytest.mark.parametrize("name", INVENTORIES)
def test_ansible_reads_both_forms_alike(name: str, tmp_path: Path) -> None:
    inventory = INVENTORIES[name]()
    both = [
        listed(rendered(inventory, form), tmp_path / f"hosts.{form}") for form in ("ini", "yaml")
    ]
    # In YAML every group stands below `all`, as in Kubespray's own example; it is the same set.
    assert [read.pop("all")["children"][0] for read in both] == ["ungrouped", "ungrouped"]
    assert both[0] == both[1]
    for host, said in both[0]["_meta"]["hostvars"].items():
        assert said == {**inventory.hosts[host], **inventory.variables}
    for group in inventory.groups:
        read = both[0].get(group.name, {})
        assert sorted(read.get("hosts", [])) == sorted(group.hosts)
        # Ansible leaves empty groups out.
        assert set(read.get("children", [])) <= set(group.children)


@pytest.mark.hypervisor
@pytest.mark.parametrize("value", ["1", "True", "['a']", "a b", "it's", 'say "so"', "a=b"])
def test_ansible_reads_texts_as_texts(value: str, tmp_path: Path) -> None:
    inventory = Inventory({"h": {"v": value}}, (), {"w": value})
    read = listed(rendered(inventory, "ini"), tmp_path / "hosts.ini")
    assert read["_meta"]["hostvars"]["h"] == {"v": value, "w": value}
