"""What is looked at for machines that are to be made or started, and what is left out."""

from dataclasses import replace
from pathlib import Path

import pytest

from cloud_assets.machines import spec
from cloud_assets.machines.desired import Desired
from cloud_assets.machines.plan import Change
from cloud_assets.machines.preflight import reading
from cloud_assets.machines.preflight.examination import Starting, examine_start
from cloud_assets.machines.preflight.facts import Facts, Kvm
from cloud_assets.machines.preflight.finding import Finding
from cloud_assets.settings.machines import Clusters, Machines
from resources.host.files import Image
from tests.machines.conftest import hpc
from tests.machines.preflight.hosts import DEVICES, FACTS, HOST, clusters, with_kernel

GPU_NODE, NODE, GPU_WORKER = "hpc-compute-02", "hpc-compute-01", "cloud-gpu-worker-01"
CLOUD_IMAGE = Path("/images/cloud.qcow2")


def troubles(
    facts: Facts, *names: str, new: tuple[str, ...] = (), host: Machines = HOST
) -> list[Finding]:
    """All that is not well where these are started and those are made."""
    given = clusters()
    wanted = spec.desired(given, host)
    kept = [
        replace(each, machines=tuple(m for m in each.machines if m.name in {*names, *new}))
        for each in wanted.clusters
    ]
    only = Desired(tuple(each for each in kept if each.machines))
    starting = Starting(only, frozenset(names), frozenset(new))
    found = examine_start(given, starting, host, facts)
    return [each for each in found if each.level != "pass"]


def test_a_good_host_is_fit_for_any() -> None:
    assert troubles(FACTS, NODE, GPU_NODE, new=(GPU_WORKER,)) == []


def test_devices_matter_to_those_that_start_with_them() -> None:
    absent = replace(FACTS, devices=replace(DEVICES, functions={}))
    assert {each.what for each in troubles(absent, GPU_NODE)} == {
        "device 0000:01:00.0", "device 0000:01:00.1"
    }  # fmt: skip
    assert troubles(absent, NODE) == []
    assert troubles(absent, new=(GPU_WORKER,)) == []


def test_the_iommu_matters_with_devices_alone() -> None:
    off = with_kernel(iommu_groups=0)
    assert "iommu" in {each.what for each in troubles(off, GPU_NODE)}
    assert troubles(off, NODE) == []


def test_images_matter_of_what_is_made_if_only_to_be_off() -> None:
    gone = Image(str(CLOUD_IMAGE), False, False, "", 0)
    lacking = replace(FACTS, images={**FACTS.images, CLOUD_IMAGE: gone})
    [found] = troubles(lacking, new=(GPU_WORKER,))
    assert (found.what, found.level) == (f"image {CLOUD_IMAGE}", "fail")
    assert troubles(lacking, NODE) == []


def test_kvm_matters_to_what_is_new_or_insists_on_it() -> None:
    none = replace(FACTS, kvm=Kvm(has_device=True, works=False))
    assert troubles(none, NODE) == []
    [found] = troubles(none, NODE, new=(NODE,))
    assert (found.what, found.level) == ("virtualisation", "warn")
    insisting = HOST.model_copy(update={"acceleration": "kvm"})
    [found] = troubles(none, NODE, host=insisting)
    assert (found.what, found.level) == ("virtualisation", "fail")


@pytest.fixture
def host(tmp_path: Path) -> Machines:
    """Of emulated machines on a libvirt that does not answer."""
    key = tmp_path / "key.pub"
    key.write_text("ssh-ed25519 AAAA somebody\n")
    return Machines(
        uri="qemu+unix:///system?socket=/nowhere", acceleration="tcg",
        pool_root=tmp_path / "pools", ssh_public_key=key,
    )  # fmt: skip


def change(name: str, action: str = "create", **about: object) -> Change:
    made = Change("machine", "hpc", name, "create", "", starts=True)
    return replace(made, **{"action": action, **about})  # type: ignore[arg-type]


def read(host: Machines, *changes: Change) -> dict[str, str]:
    asked = Clusters.model_validate({"hpc": hpc(base_image_path="/nowhere/none.qcow2")})
    return {each.what: each.level for each in reading.before_start(asked, host, changes)}


def test_this_host_is_read_where_anything_is_made(host: Machines) -> None:
    found = read(host, change("hpc-controller"))
    assert found["image /nowhere/none.qcow2"] == "fail"
    assert "virtualisation" not in found
    assert not [each for each in found if each.startswith("device ")]


@pytest.mark.parametrize(
    "changes",
    [
        (),
        (change("hpc-controller", withheld="it runs"),),
        (change("hpc-controller", "update", starts=False),),
        (change("hpc-network", what="network"),),
    ],
)
def test_nothing_is_read_where_no_machine_is_made_or_started(
    host: Machines, monkeypatch: pytest.MonkeyPatch, changes: tuple[Change, ...]
) -> None:
    monkeypatch.setattr(reading, "facts", lambda *_, **__: pytest.fail("it read"))
    assert read(host, *changes) == {}


def test_nothing_is_read_of_a_libvirt_elsewhere(
    host: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "facts", lambda *_, **__: pytest.fail("it read"))
    for uri in ("test:///default", "qemu+ssh://other/system"):
        away = host.model_copy(update={"uri": uri})
        assert read(away, change("hpc-controller")) == {}
