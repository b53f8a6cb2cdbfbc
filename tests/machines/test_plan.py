"""What a plan says: what differs and why, what is withheld, what is never touched."""

from dataclasses import replace
from pathlib import Path

import pytest

from cloud_assets.machines.desired import Desired
from cloud_assets.machines.host import Host
from cloud_assets.machines.plan import plan
from cloud_assets.settings.machines import Machines
from resources.errors import PermanentError
from resources.libvirt import Observation
from tests.machines.conftest import GPU, RENDERING, SMALL, Lab, cloud, hpc, wanted, without

BOTH = wanted(hpc=hpc(), cloud=cloud())
HPC, CLOUD = wanted(hpc=hpc()), wanted(cloud=cloud())


def controller(**changes: object) -> Desired:
    return wanted(hpc=hpc(controller={**SMALL, "ip_address": "192.168.100.10", **changes}))


def test_an_empty_host_gets_networks_pools_and_machines_in_order() -> None:
    found = plan(BOTH, Observation(), RENDERING).changes
    assert [each.name for each in found] == [
        "hpc-network", "hpc-pool", "hpc-controller", "hpc-compute-01", "hpc-compute-02",
        "cloud-network", "cloud-pool", "cloud-control-plane", "cloud-cpu-worker-01",
        "cloud-gpu-worker-01",
    ]  # fmt: skip
    assert {each.action for each in found} == {"create"}
    assert found == plan(BOTH, Observation(), RENDERING).changes


def test_without_clusters_there_is_nothing_to_do(lab: Lab) -> None:
    assert lab.plan(wanted()).changes == ()


def test_a_machine_that_is_left_off_is_made_and_not_started(lab: Lab) -> None:
    change = lab.change(BOTH, "cloud-gpu-worker-01")
    assert (change.action, change.starts) == ("create", False)


def test_a_stranger_of_that_name_is_a_refusal(lab: Lab) -> None:
    lab.connection.handle().defineXML(
        "<domain type='test'><name>hpc-controller</name><memory>1024</memory>"
        "<os><type>hvm</type></os></domain>"
    )
    change = lab.change(HPC, "hpc-controller")
    assert change.refused
    assert not change.applies
    assert "not ours" in change.why
    with pytest.raises(PermanentError, match="not ours"):
        lab.apply(HPC)
    assert lab.names() == {"hpc-controller"}


def test_a_machine_of_ours_that_lost_its_mark_is_a_refusal(lab: Lab) -> None:
    lab.apply(HPC)
    mark = lab.connection.handle().lookupByName("hpc-controller")
    xml = mark.XMLDesc(lab.connection.libvirt.VIR_DOMAIN_XML_INACTIVE)
    start, end = xml.index("<metadata"), xml.index("</metadata>") + len("</metadata>")
    lab.connection.handle().defineXML(xml[:start] + xml[end:])
    assert "no mark" in lab.change(HPC, "hpc-controller").why


def test_a_machine_that_was_renamed_is_a_refusal(lab: Lab) -> None:
    lab.apply(HPC)
    domain = lab.connection.handle().lookupByName("hpc-controller")
    domain.destroy()
    domain.rename("mine")
    change = lab.change(HPC, "hpc-controller")
    assert (change.refused, change.why) == (True, "its UUID is that of the domain mine")


@pytest.mark.parametrize("what", ["network", "pool"])
def test_a_strangers_network_or_pool_is_a_refusal(what: str, lab: Lab) -> None:
    handle = lab.connection.handle()
    if what == "network":
        handle.networkDefineXML("<network><name>hpc-network</name></network>")
    else:
        handle.storagePoolDefineXML(
            "<pool type='dir'><name>hpc-pool</name><target><path>/x</path></target></pool>"
        )
    assert lab.change(HPC, f"hpc-{what}").refused
    assert not lab.change(BOTH, f"cloud-{what}").refused


def test_what_somebody_changed_by_hand_is_told_with_both_values(lab: Lab) -> None:
    lab.apply(CLOUD)
    lab.redefine(
        "cloud-gpu-worker-01", "<vcpu placement='static'>1<", "<vcpu placement='static'>3<"
    )
    change = lab.change(CLOUD, "cloud-gpu-worker-01")
    assert (change.action, change.why) == ("update", "somebody changed it by hand")
    assert [str(each) for each in change.differences] == ["vcpu: 3 → 1"]


def test_what_the_file_changed_is_told_as_that_and_needs_a_restart_while_it_runs(lab: Lab) -> None:
    lab.apply(HPC)
    found = [each for each in lab.plan(controller(cpu_cores=2)).changes
             if each.name == "hpc-controller"]  # fmt: skip
    assert [(each.action, each.applies) for each in found] == [("update", True), ("restart", False)]
    assert found[0].why == "the file has changed since"
    assert "ai-how vm restart hpc-controller" in found[1].withheld
    lab.apply(controller(cpu_cores=2))
    assert lab.pending(controller(cpu_cores=2)) == [("hpc-controller", "restart")]
    assert "hpc-controller" in lab.active()


def test_without_a_key_the_plan_takes_first_boots_as_they_are(lab: Lab, tmp_path: Path) -> None:
    asked = wanted(hpc=hpc())
    lab.apply(asked)
    key = tmp_path / "key.pub"
    host = Host(Machines(pool_root=Path("/pools"), ssh_public_key=key), asked)
    assert not host.has_key()
    assert host.outlook(lab.connection).pending == ()
    key.write_text("ssh-ed25519 BBBB other")
    assert {each.action for each in host.outlook(lab.connection).pending} == {"update", "restart"}


def test_another_key_is_written_now_and_taken_up_by_the_next_start(lab: Lab) -> None:
    lab.apply(HPC)
    lab.rendering = replace(RENDERING, ssh_key="ssh-ed25519 BBBB other")
    found = lab.plan(HPC).pending
    assert {(each.action, each.applies) for each in found} == {("update", True), ("restart", False)}
    assert {each.path for change in found for each in change.differences} == {"cloud-init"}
    lab.apply(HPC)
    found = lab.plan(HPC).pending
    assert {each.action for each in found} == {"restart"}
    for each in found:
        lab.connection.handle().lookupByName(each.name).destroy()
    lab.apply(HPC)
    assert lab.pending(HPC) == []


def test_a_machine_that_is_off_is_started_and_one_that_crashed_is_told_so(lab: Lab) -> None:
    lab.apply(HPC)
    lab.connection.handle().lookupByName("hpc-controller").destroy()
    change = lab.change(HPC, "hpc-controller")
    assert (change.action, change.why, change.starts) == ("start", "it is off", True)


def test_a_machine_that_runs_though_it_is_to_be_left_off_is_not_stopped(lab: Lab) -> None:
    lab.apply(CLOUD)
    lab.connection.handle().lookupByName("cloud-gpu-worker-01").create()
    assert lab.pending(CLOUD) == []


def test_autostart_is_never_that_of_a_machine_with_a_gpu(lab: Lab) -> None:
    lab.apply(HPC)
    handle = lab.connection.handle()
    assert handle.lookupByName("hpc-controller").autostart()
    assert not handle.lookupByName("hpc-compute-02").autostart()
    handle.lookupByName("hpc-compute-02").setAutostart(1)
    change = lab.change(HPC, "hpc-compute-02")
    assert [str(each) for each in change.differences] == ["autostart: yes → no"]


def test_a_gpu_that_another_machine_has_keeps_one_off_and_is_told(lab: Lab) -> None:
    eager = cloud(
        worker_nodes=[{**SMALL, "ip": "DHCP", "pcie_passthrough": {"enabled": True,
                                                                  "devices": [GPU]}}]
    )  # fmt: skip
    both = wanted(hpc=hpc(), cloud=eager)
    lab.apply(both)
    assert "cloud-gpu-worker-01" in lab.names() - lab.active()
    change = lab.change(both, "cloud-gpu-worker-01")
    assert change.action == "start"
    assert change.withheld == (
        "GPU 0000:01:00.0 is currently allocated to `hpc-compute-02` of cluster `hpc`; "
        "`ai-how gpu switch 0000:01:00.0 --to cloud-gpu-worker-01` hands it over, "
        "`ai-how vm stop hpc-compute-02` frees it"
    )


def test_a_smaller_disk_is_a_new_one_and_only_when_its_loss_is_allowed(lab: Lab) -> None:
    lab.apply(controller(disk_gb=20))
    change = lab.change(controller(disk_gb=10), "hpc-controller")
    assert (change.action, change.applies) == ("replace", False)
    assert "--allow-data-loss" in change.withheld
    assert lab.change(controller(disk_gb=10), "hpc-controller", allow_data_loss=True).applies


def test_another_image_is_a_new_disk(lab: Lab) -> None:
    lab.apply(HPC)
    other = controller(base_image_path="/images/other.qcow2")
    change = lab.change(other, "hpc-controller")
    assert [str(each) for each in change.differences] == [
        "disk/backing: /images/hpc.qcow2 → /images/other.qcow2"
    ]
    lab.apply(other, allow_data_loss=True)
    assert lab.pending(other) == []


def test_a_larger_disk_waits_until_the_machine_is_off(lab: Lab) -> None:
    lab.apply(HPC)
    change = lab.change(controller(disk_gb=20), "hpc-controller")
    assert (change.action, change.applies) == ("update", False)
    assert "vm stop hpc-controller" in change.withheld
    lab.connection.handle().lookupByName("hpc-controller").destroy()
    assert lab.change(controller(disk_gb=20), "hpc-controller").applies


def test_a_machine_that_the_file_has_no_more_stays_until_that_is_asked_for(lab: Lab) -> None:
    lab.apply(BOTH)
    less = without(BOTH, "hpc-compute-01")
    change = lab.change(less, "hpc-compute-01")
    assert (change.action, change.applies) == ("remove", False)
    lab.apply(less)
    assert "hpc-compute-01" in lab.names()
    lab.apply(less, prune=True)
    assert lab.names() == {each.name for each in less.machines}
    assert not {each for each in lab.volumes("hpc-pool") if each.startswith("hpc-compute-01")}


def test_a_cluster_alone_says_nothing_of_the_other(lab: Lab) -> None:
    lab.apply(BOTH)
    assert lab.pending(HPC, prune=True) == []
    assert lab.pending(CLOUD, prune=True) == []


def test_a_volume_without_a_machine_is_told_and_one_of_another_name_is_not(lab: Lab) -> None:
    lab.apply(HPC)
    pool = lab.connection.handle().storagePoolLookupByName("hpc-pool")
    for name in ("hpc-gone.qcow2", "backup.qcow2"):
        pool.createXML(f"<volume><name>{name}</name><capacity>1024</capacity></volume>", 0)
    assert lab.pending(HPC) == [("hpc-gone.qcow2", "remove")]
    lab.apply(HPC, prune=True)
    assert "backup.qcow2" in lab.volumes("hpc-pool")
    assert "hpc-gone.qcow2" not in lab.volumes("hpc-pool")


def test_a_new_address_is_kept_in_place_while_machines_run(lab: Lab) -> None:
    lab.apply(HPC)
    more = wanted(hpc=hpc(compute_nodes=[
        {**SMALL, "ip": "192.168.100.11"}, {**SMALL, "ip": "192.168.100.12"},
    ]))  # fmt: skip
    assert lab.change(more, "hpc-network").action == "update"
    assert lab.change(more, "hpc-network").applies


def test_another_bridge_waits_until_nobody_uses_the_network(lab: Lab) -> None:
    lab.apply(HPC)
    other = wanted(hpc=hpc(network={"subnet": "192.168.100.0/24", "bridge": "virbr7"}))
    change = lab.change(other, "hpc-network")
    assert (change.action, change.applies) == ("replace", False)
    assert "hpc-controller" in change.withheld
    for name in lab.active():
        lab.connection.handle().lookupByName(name).destroy()
    assert lab.change(other, "hpc-network").applies
    lab.apply(other)
    assert lab.pending(other) == []


def test_a_disk_that_is_gone_is_made_anew(lab: Lab) -> None:
    lab.apply(CLOUD)
    pool = lab.connection.handle().storagePoolLookupByName("cloud-pool")
    pool.storageVolLookupByName("cloud-gpu-worker-01.qcow2").delete()
    change = lab.change(CLOUD, "cloud-gpu-worker-01")
    assert (change.action, change.why, change.applies) == ("update", "its disk is gone", True)
    lab.apply(CLOUD)
    assert lab.pending(CLOUD) == []


def test_a_machine_keeps_the_kind_that_it_was_made_with(lab: Lab) -> None:
    lab.apply(HPC)
    lab.rendering = replace(
        RENDERING, kind="kvm", kinds={each.name: "qemu" for each in HPC.machines}
    )
    assert lab.pending(HPC) == []
