"""What a switch would do, what it leaves out, and what it refuses before anything is stopped."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from cloud_assets.machines.gpus.inventory import inventory
from cloud_assets.machines.gpus.ports import Draining
from cloud_assets.machines.gpus.site import GpuSite
from cloud_assets.machines.gpus.switch import Node, Switch, planned
from cloud_assets.settings.platform import Slurm
from resources.errors import AiHowError, ExternalError, NeedsRepair, UsageError
from resources.host.holders import Process
from resources.libvirt import Identity, domains, observe
from tests.machines.gpus.site import ALONE, AUDIO, GPU, SERVES, TRAINS, document, machine

STRANGER = "5f0c9a4e-0000-4000-8000-000000000001"


def plan(
    site: GpuSite, to: str = SERVES, *, gpu: str = GPU, nodes: Mapping[str, Node] | None = None
) -> Switch:
    seen, gpus = site.look()
    return planned(gpu, to, desired=site.desired, gpus=gpus, seen=seen, nodes=nodes or {})


def start(site: GpuSite, name: str) -> None:
    wanted = machine(site.desired, name)
    domains.start(site.connection, Identity(wanted.name, wanted.uuid))


@pytest.mark.parametrize(
    ("gpu", "to", "told"),
    [
        (GPU, "absent", "no machine is called `absent`"),
        (GPU, "cloud-cpu-worker-01", "has no GPU"),
        (ALONE, SERVES, "has no GPU"),
        ("nonsense", SERVES, "has no GPU"),
    ],
)
def test_what_does_not_go_together_is_refused(site: GpuSite, gpu: str, to: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        plan(site, to, gpu=gpu)


def test_a_machine_that_was_never_made_is_refused(site: GpuSite) -> None:
    site.connection.handle().lookupByName(SERVES).undefine()
    with pytest.raises(NeedsRepair, match="no such machine yet") as refused:
        plan(site)
    assert refused.value.hint == "`ai-how cloud start` makes it"


def test_a_machine_that_runs_without_its_gpu_has_to_stop_first(site: GpuSite) -> None:
    wanted = machine(site.desired, SERVES)
    domains.define(site.connection, document(SERVES, wanted.uuid, ()))
    start(site, SERVES)
    with pytest.raises(NeedsRepair, match="it runs without the GPU"):
        plan(site)


def test_what_somebody_else_has_is_not_taken(site: GpuSite) -> None:
    domains.define(site.connection, document("game", STRANGER, (AUDIO,)))
    site.connection.handle().lookupByName("game").create()
    with pytest.raises(NeedsRepair, match="currently allocated to game") as refused:
        plan(site)
    assert "virsh shutdown game" in str(refused.value.hint)


def test_nothing_is_stopped_for_a_machine_that_could_not_start(site: GpuSite) -> None:
    start(site, TRAINS)
    torn = replace(
        site.desired,
        clusters=tuple(
            replace(each, machines=tuple(replace(one, hostdevs=one.gpus) for one in each.machines))
            for each in site.desired.clusters
        ),
    )
    seen = observe(site.connection)
    with pytest.raises(NeedsRepair, match="all of IOMMU group 1 or not at all"):
        planned(GPU, SERVES, desired=torn, gpus=inventory(torn, seen, {}), seen=seen, nodes={})


def test_a_gpu_that_programs_of_the_host_use_stays(site: GpuSite) -> None:
    seen = observe(site.connection)
    gpus = inventory(site.desired, seen, {GPU: [Process(42, "python", ())]})
    with pytest.raises(AiHowError, match=r"42 \(python\)"):
        planned(GPU, SERVES, desired=site.desired, gpus=gpus, seen=seen, nodes={})


def test_a_machine_that_has_it_already_needs_no_step(site: GpuSite) -> None:
    start(site, SERVES)
    assert plan(site).steps == ()


def test_steps_are_told_with_their_nodes(site: GpuSite) -> None:
    start(site, TRAINS)
    found = plan(site, nodes={TRAINS: Node("node-01"), SERVES: Node("", "none is known")})
    assert (found.givers, [each.action for each in found.steps]) == (
        (TRAINS,), ["drain", "stop", "release", "start", "ready"]
    )  # fmt: skip
    assert found.steps[0].text == (
        "close Slurm node node-01 to new work and wait until it is empty"
    )
    assert [each.skipped for each in found.steps] == ["", "", "", "", "none is known"]
    assert found.steps[2].devices == (GPU, AUDIO)


def test_without_a_scheduler_draining_is_left_out_with_a_word(site: GpuSite) -> None:
    start(site, TRAINS)
    found = site.plan(GPU, SERVES)
    assert "platform.slurm" in found.steps[0].skipped
    assert "kubeconfig" in found.steps[-1].skipped


def test_a_scheduler_that_does_not_answer_is_passed_over_by_force_alone(
    site: GpuSite, tmp_path: Path
) -> None:
    start(site, TRAINS)
    # For a file that is not there Slurm's commands would look a minute long.
    (tmp_path / "slurm.conf").write_text("", "utf-8")
    away = Slurm(configuration=tmp_path / "slurm.conf")
    lost = GpuSite(site.settings.model_copy(update={"slurm": away}), site.desired)
    with pytest.raises(ExternalError, match="Slurm could not list its nodes"):
        lost.plan(GPU, TRAINS)
    # Each connection to the test driver has a world of its own.
    vars(lost)["connection"] = site.connection
    found = lost.plan(GPU, SERVES, Draining(force=True))
    assert "Slurm could not list its nodes" in found.steps[0].skipped
