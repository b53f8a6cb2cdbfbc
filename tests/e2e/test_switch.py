"""`ai-how gpu switch` with a whole platform: on record, killed in between, there and back."""

import getpass
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
import yaml

from cloud_assets.machines.gpus.site import GpuSite
from cloud_assets.settings_file import CLUSTER_VARIABLE, read_cluster_file
from cloud_assets.stages import GPU_OWNER, SWITCH_JOB
from resources.dagster.graphql import Run
from resources.libvirt import Connection, holder
from resources.slurm import Slurm
from tests.doubles.embedded_platform import REPOSITORY, EmbeddedPlatform
from tests.hypervisor.cell import Hypervisor
from tests.hypervisor.vfio import rig
from tests.hypervisor.vfio.rig import Rig
from tests.machines.gpus import on_rig
from tests.machines.gpus.site import FILE, GPU, SERVES, TRAINS, define, machine
from tests.slurm.cell import Running

pytestmark = [pytest.mark.e2e, pytest.mark.hypervisor, pytest.mark.timeout(900)]

WORKER_TAG = "ai-how/worker"
_CONFIG = "query ($run: ID!) { runOrError(runId: $run) { ... on Run { runConfigYaml } } }"


@contextmanager
def up(home: Path, uri: str, **changes: object) -> Iterator[EmbeddedPlatform]:
    """A platform with the example's machines; those of the rig where the URI is its."""
    machines = {"uri": uri, "shutdown_timeout_seconds": 60}
    text = FILE.read_text("utf-8")
    if uri.startswith("qemu"):
        text = text.replace("0000:01:00.0", rig.GPU).replace("0000:01:00.1", rig.AUDIO)
    clusters = yaml.safe_load(text)["clusters"]
    made = EmbeddedPlatform(home, {"machines": machines, **changes}, clusters)
    try:
        made.up()
        yield made
    finally:
        made.down()


def site_of(platform: EmbeddedPlatform) -> GpuSite:
    read = read_cluster_file(platform.file)
    return GpuSite.of(read.platform, read.clusters)


@contextmanager
def defined(platform: EmbeddedPlatform) -> Iterator[GpuSite]:
    """Both machines on the test driver, one of them on, for as long as we are connected."""
    site = site_of(platform)
    with site.connection:
        for each in (TRAINS, SERVES):
            define(site.connection, machine(site.desired, each), start=each == TRAINS)
        yield site


def owner(connection: Connection, gpu: str = GPU) -> str:
    found = holder(connection, gpu)
    return found.name if found else ""


def switches(platform: EmbeddedPlatform) -> list[Run]:
    return [each for each in platform.graph.runs() if each.job == SWITCH_JOB]


def config(platform: EmbeddedPlatform, run: Run) -> dict[str, object]:
    answer = httpx.post(
        f"{platform.settings.dagster_url}/graphql",
        json={"query": _CONFIG, "variables": {"run": run.run_id}}, timeout=20,
    ).json()  # fmt: skip
    given = yaml.safe_load(answer["data"]["runOrError"]["runConfigYaml"])
    return dict(given["ops"][GPU_OWNER]["config"])


def test_a_switch_is_on_record_and_a_second_one_has_nothing_to_do(
    hypervisor: Hypervisor, tmp_path: Path
) -> None:
    with up(tmp_path, hypervisor.simulated_uri) as platform, defined(platform) as site:
        words = ("gpu", "switch", GPU, "--to", SERVES)
        ended = platform.ai_how(*words, "--reason", "to serve", "--drain-seconds", "5", "--json")
        assert ended.returncode == 0, ended.stderr
        steps = [(each["step"], each["outcome"]) for each in json.loads(ended.stdout)]
        assert steps == [
            ("drain", "skipped"), ("stop", "done"), ("release", "done"), ("start", "done"),
            ("ready", "skipped"),
        ]  # fmt: skip
        assert owner(site.connection) == SERVES
        [run] = switches(platform)
        asked = {"gpu": GPU, "to": SERVES, "reason": "to serve", "drain_seconds": 5, "force": False}
        assert config(platform, run) == {**asked, "requested_by": getpass.getuser()}
        [event] = platform.graph.events(GPU_OWNER)
        assert (event.metadata["before"], event.metadata["owner"]) == (TRAINS, SERVES)
        assert event.metadata["requested_by"] == getpass.getuser()
        assert [each["action"] for each in event.metadata["steps"]] == [each for each, _ in steps]
        again = platform.ai_how(*words)
        assert (again.returncode, again.stderr) == (0, f"{SERVES} has GPU {GPU} already\n")
        assert len(switches(platform)) == 1


@pytest.mark.slurm
def test_a_killed_worker_leaves_it_to_the_next_run(
    hypervisor: Hypervisor, slurm_cell: Running, tmp_path: Path
) -> None:
    """Killed while a job keeps the GPU where it is; the retry waits on, and goes through."""
    known = {"configuration": str(slurm_cell.configuration), "nodes": {TRAINS: slurm_cell.node}}
    slurm, end = Slurm(slurm_cell.configuration), tmp_path / "end"
    number = slurm.submit(f"until [ -e {end} ]; do sleep 0.1; done", gpus=1)
    with up(tmp_path, hypervisor.simulated_uri, slurm=known) as platform:
        platform.until(lambda: any(each.is_running for each in slurm.jobs()))
        with defined(platform) as site, asked(platform):
            platform.until(lambda: all(each.takes_no_jobs for each in slurm.nodes()))
            [first] = switches(platform)
            worker = psutil.Process(int(first.tags[WORKER_TAG].partition(":")[0]))
            worker.kill()
            platform.until(lambda: len(switches(platform)) == 2)
            assert owner(site.connection) == TRAINS
            end.touch()
            platform.until(lambda: all(each.finished for each in switches(platform)))
            assert [each.status for each in switches(platform)] == ["SUCCESS", "FAILURE"]
            assert owner(site.connection) == SERVES
    slurm.cancel(number)
    slurm.resume(slurm_cell.node)


@contextmanager
def asked(platform: EmbeddedPlatform) -> Iterator[None]:
    """Within, the command is under way."""
    command = [str(Path(sys.executable).with_name("ai-how")), "gpu", "switch", GPU, "--to", SERVES]
    with subprocess.Popen(
        command, env={**os.environ, CLUSTER_VARIABLE: str(platform.file)}, cwd=REPOSITORY,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            yield
        finally:
            process.kill()


@pytest.mark.vfio
def test_the_command_hands_a_gpu_over_and_back_where_libvirt_keeps_it_for_one(
    vfio: Rig, tmp_path: Path
) -> None:
    with up(tmp_path, vfio.uri) as platform:
        site = site_of(platform)
        with site.connection, on_rig.defined(vfio, site):
            assert platform.ai_how("vm", "start", TRAINS, "--no-wait").returncode == 0
            for name in (SERVES, TRAINS):
                ended = platform.ai_how("gpu", "switch", rig.GPU, "--to", name, seconds=300)
                assert ended.returncode == 0, ended.stderr
                assert owner(site.connection, rig.GPU) == name
