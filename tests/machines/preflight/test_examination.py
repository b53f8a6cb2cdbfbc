"""Everything else that a host must have: each lack is one finding with what mends it."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from cloud_assets.machines.preflight.facts import Facts, Kvm, Libvirt
from cloud_assets.settings.machines import Clusters
from resources.host.memory import Memory
from resources.host.networks import Route
from resources.libvirt import Identity, Network, Observation
from tests.machines.conftest import SMALL, cloud, hpc
from tests.machines.preflight.hosts import (
    FACTS,
    HOST,
    clusters,
    findings,
    image,
    pool,
    trouble,
    troubles,
    with_kernel,
)

HPC_IMAGE = Path("/images/hpc.qcow2")


def network(name: str, bridge: str, subnet: str) -> Network:
    return Network(Identity(name, "u"), bridge, "nat", subnet, "", (), None, "")


def plain(**acceleration: object) -> Clusters:
    """One cluster without devices, with such processors."""
    nodes = [{**SMALL, "ip": "DHCP"}]
    hardware = {"acceleration": acceleration}
    return clusters(hpc=hpc(compute_nodes=nodes, hardware=hardware), cloud=None)


def test_a_good_host_needs_no_fix() -> None:
    assert [each for each in findings(FACTS) if each.level != "pass" or each.fix] == []


def test_whatever_is_not_well_has_a_fix() -> None:
    empty = replace(
        with_kernel(iommu_groups=0, can_load_vfio=False), kvm=Kvm(False, False),
        memory=Memory(0, 0, {}), programs={}, public_key=None, seen=None,
        libvirt=Libvirt("qemu:///system", "", "refused", "start it"),
    )  # fmt: skip
    found = troubles(empty)
    assert len(found) >= 8
    assert [each for each in found if not each.fix] == []


def test_without_clusters_only_what_any_would_need_is_looked_at() -> None:
    named = [each.what for each in findings(FACTS, Clusters())]
    assert named == [
        "libvirt", "qemu-system-x86_64", "qemu-img", "dnsmasq", "SSH key", "virtualisation",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("libvirt", "fix"),
    [
        (
            Libvirt("qemu:///system", "", "no socket", "h", "absent"),
            "`apt-get install libvirt-daemon-system`, `systemctl enable --now libvirtd`",
        ),
        (
            Libvirt("qemu:///system", "", "Permission denied", "h", "forbidden"),
            "`usermod -aG libvirt somebody`, then log in again",
        ),
        (Libvirt("qemu+ssh://x/system", "", "no route", "the hint"), "the hint"),
        (
            Libvirt("qemu:///system", "", "the module libvirt is not installed", "the hint"),
            "the hint",
        ),
    ],
)
def test_a_libvirt_that_does_not_answer_has_its_fix(libvirt: Libvirt, fix: str) -> None:
    found = trouble(replace(FACTS, libvirt=libvirt, seen=None))
    assert (found.what, found.level, found.fix) == ("libvirt", "fail", fix)


@pytest.mark.parametrize(
    ("program", "package"),
    [("qemu-img", "qemu-utils"), ("dnsmasq", "dnsmasq-base")],
)
def test_a_program_that_is_not_installed_has_its_package(program: str, package: str) -> None:
    found = trouble(replace(FACTS, programs={**FACTS.programs, program: None}))
    assert found.fix.startswith(f"`apt-get install {package}`")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "/key.pub is not there"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "/key.pub is a private key"),
        ("hello", "/key.pub is no public key"),
    ],
)
def test_a_key_that_nobody_can_log_in_with_is_told(text: str | None, told: str) -> None:
    found = trouble(replace(FACTS, public_key=text))
    assert (found.level, found.found) == ("fail", told)


def test_without_kvm_machines_are_emulated_which_is_a_warning() -> None:
    found = trouble(replace(FACTS, kvm=Kvm(has_device=True, works=False)))
    assert found.level == "warn"
    assert "a guest hung or crawled; machines are emulated" in found.found
    assert "machines.acceleration: tcg" in found.fix


def test_without_kvm_machines_that_insist_on_it_fail() -> None:
    host = HOST.model_copy(update={"acceleration": "kvm"})
    found = trouble(replace(FACTS, kvm=Kvm(has_device=True, works=False)), None, host)
    assert found.level == "fail"
    assert "hpc-controller" in found.found


def test_machines_that_are_emulated_anyway_need_no_kvm() -> None:
    facts = replace(FACTS, kvm=Kvm(has_device=False, works=None))
    assert troubles(facts, plain(enable_kvm=False)) == []


@pytest.mark.parametrize(
    ("kernel", "words"),
    [
        ({"has_kvm_module": False}, "`modprobe kvm_intel`"),
        ({"has_virtualisation": False}, "switch VT-x on in the firmware"),
        ({"has_virtualisation": False, "is_guest": True}, "switch nested on below it"),
    ],
)
def test_why_there_is_no_kvm_decides_the_fix(kernel: Mapping[str, Any], words: str) -> None:
    facts = replace(with_kernel(**kernel), kvm=Kvm(has_device=False, works=False))
    assert trouble(facts).fix.startswith(words)


def test_a_kvm_that_this_user_may_not_use_fails() -> None:
    facts = replace(FACTS, kvm=Kvm(True, None, "this user may not"))
    assert trouble(facts).fix == "`usermod -aG kvm somebody`, then log in again"


def test_machines_in_machines_need_the_modules_word() -> None:
    found = trouble(with_kernel(nested=False), plain(enable_nested=True))
    assert (found.what, found.level) == ("nested", "warn")
    assert "options kvm_intel nested=1" in found.fix


def disks(free: int) -> Facts:
    pools = {path: replace(each, free=free) for path, each in FACTS.pools.items()}
    return replace(FACTS, pools=pools)


@pytest.mark.parametrize(("free", "level"), [(20 * 2**30, "warn"), (2**30, "fail")])
def test_disks_are_to_start_and_may_grow(free: int, level: str) -> None:
    found = trouble(disks(free))
    assert (found.what, found.level) == ("machines' disk", level)
    assert found.found.endswith("disks may grow by 60 GiB")


def test_what_disks_take_already_is_not_wanted_again() -> None:
    taken = {f"hpc-{each}": 10 * 2**30 for each in ("controller", "compute-01", "compute-02")}
    found = trouble(replace(disks(20 * 2**30), taken=taken))
    assert found.found.endswith("disks may grow by 30 GiB")


@pytest.mark.parametrize(
    ("change", "level", "fix"),
    [
        ({"strangers": "/pools"}, "fail", "`chmod o-w /pools`"),
        ({"closed": "/pools"}, "warn", "`setfacl -m u:libvirt-qemu:x /pools`"),
        ({"is_directory": False}, "fail", "set machines.pool_root to a directory"),
    ],
)
def test_a_pool_has_its_rights(change: dict[str, Any], level: str, fix: str) -> None:
    damaged = replace(pool("/pools/hpc"), **change)
    found = trouble(replace(FACTS, pools={**FACTS.pools, Path("/pools/hpc"): damaged}))
    assert (found.level, found.fix) == (level, fix)


def test_a_pool_of_a_users_own_libvirt_is_that_users() -> None:
    closed = replace(pool("/pools/hpc"), is_writable=False)
    facts = replace(
        FACTS, pools={**FACTS.pools, Path("/pools/hpc"): closed},
        libvirt=Libvirt("qemu:///session", "9.0.0"),
    )  # fmt: skip
    assert trouble(facts).fix == "`chown somebody /pools/hpc`"


@pytest.mark.parametrize(
    ("total", "available", "level"),
    [(64, 4, "warn"), (4, 4, "fail"), (64, 0, "fail")],
    ids=["later", "never", "a device has its machine's memory whole"],
)
def test_memory_is_for_machines_that_start_with_their_clusters(
    total: int, available: int, level: str
) -> None:
    found = trouble(replace(FACTS, memory=Memory(total * 2**30, available * 2**30, {})))
    assert (found.what, found.level) == ("machines' memory", level)
    assert "take 5.0 GiB" in found.found


def test_huge_pages_are_to_be_there_before() -> None:
    asked = plain(performance={"enable_hugepages": True, "hugepage_size": "2M"})
    found = trouble(replace(FACTS, memory=Memory(2**36, 2**36, {2**21: 2**30})), asked)
    assert (found.what, found.level) == ("huge pages 2M", "fail")
    assert "+ 512)) > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages" in found.fix


@pytest.mark.parametrize(
    ("change", "level", "fix"),
    [
        ({"is_there": False}, "fail", "build or copy it there"),
        ({"is_readable": False}, "fail", "`setfacl -m u:somebody:r /images/hpc.qcow2`"),
        ({"format": "raw"}, "fail", "`qemu-img convert -f raw -O qcow2 /images/hpc.qcow2 "),
        ({"format": "", "problem": "no backing file"}, "fail", "build it anew"),
        ({"format": "", "problem": "qemu-img is not installed"}, "warn", "`apt-get install"),
        ({"strangers": "/images"}, "fail", "`chmod o-w /images`"),
        ({"closed": "/images"}, "warn", "`setfacl -m u:libvirt-qemu:x /images`"),
        ({"size": 20 * 2**30}, "fail", "set disk_gb to at least 20"),
    ],
)
def test_an_image_is_there_whole_and_safe(change: dict[str, Any], level: str, fix: str) -> None:
    damaged = replace(image(str(HPC_IMAGE)), **change)
    found = trouble(replace(FACTS, images={**FACTS.images, HPC_IMAGE: damaged}))
    assert (found.what, found.level) == (f"image {HPC_IMAGE}", level)
    assert found.fix.startswith(fix)


def test_directories_that_machines_are_given_are_there() -> None:
    found = trouble(replace(FACTS, shared={Path("/srv/d"): False}))
    assert found.fix.startswith("`mkdir -p /srv/d`")


@pytest.mark.parametrize(
    ("change", "level", "words"),
    [
        ({"interfaces": ("lo", "virbr100")}, "fail", "the host has an interface virbr100"),
        (
            {"routes": (Route("wlan0", IPv4Network("192.168.0.0/16")),)},
            "fail",
            "192.168.100.0/24 overlaps 192.168.0.0/16, to which wlan0 leads",
        ),
        (
            {"seen": Observation(networks=(network("other", "virbr100", "10.0.0.0/24"),))},
            "fail",
            "virbr100 is the bridge of libvirt's network other",
        ),
        (
            {"seen": Observation(networks=(network("off", "virbr9", "192.168.100.0/24"),))},
            "warn",
            "is that of libvirt's network off, which is off",
        ),
    ],
)
def test_a_network_is_beside_those_of_the_host(
    change: dict[str, Any], level: str, words: str
) -> None:
    found = next(each for each in troubles(replace(FACTS, **change)) if "hpc" in each.what)
    assert (found.what, found.level) == ("network of hpc", level)
    assert words in found.found
    assert "clusters.hpc.network." in found.fix


def test_libvirts_default_network_is_told_where_a_cluster_has_its_subnet() -> None:
    asked = cloud(network={"subnet": "192.168.122.0/24", "bridge": "virbr200"},
                  control_plane={**SMALL, "ip_address": "192.168.122.10"},
                  worker_nodes=[{**SMALL, "ip": "DHCP"}])  # fmt: skip
    route = Route("virbr0", IPv4Network("192.168.122.0/24"))
    found = trouble(replace(FACTS, routes=(route,)), clusters(hpc=None, cloud=asked))
    assert found.found == "192.168.122.0/24 overlaps 192.168.122.0/24, to which virbr0 leads"
    assert found.fix.endswith("as in 192.168.100.0/24")


def test_its_own_network_is_in_nobodys_way() -> None:
    own = network("hpc-network", "virbr100", "192.168.100.0/24")
    facts = replace(
        FACTS, interfaces=("lo", "virbr100"), seen=Observation(networks=(own,)),
        routes=(Route("virbr100", IPv4Network("192.168.100.0/24")),),
    )  # fmt: skip
    assert troubles(facts) == []
