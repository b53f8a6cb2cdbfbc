"""What the `gpu_demand` sensor asks for, from the work of both clusters and who has the GPU."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from cloud_assets.machines.gpus.assets import build_jobs, gpu_owner
from cloud_assets.machines.gpus.demand import Demand, Side, of_jobs, of_pods
from cloud_assets.machines.gpus.inventory import Gpu, Party
from cloud_assets.machines.gpus.site import GpuSite
from resources.slurm import Job
from sensors import gpu_demand
from sensors.gpu_demand import remembered
from tests.machines.gpus import site as sites

NOW = datetime(2026, 1, 1, tzinfo=UTC)
JOB = Job(1, "train", "ada", "PENDING", "Resources", "gpu", "", 1, NOW - timedelta(seconds=90))


def gpu(owner: str | None) -> Gpu:
    party = Party(owner, "hpc", "hpc", is_active=True) if owner else None
    return Gpu("0000:01:00.0", "", "", "", None, (), (), party, (), ())


def pod(phase: str, *, gpus: int = 1, node: str | None = None) -> dict[str, Any]:
    limits = {"nvidia.com/gpu": str(gpus)} if gpus else {"cpu": "1"}
    made = (NOW - timedelta(seconds=60)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "metadata": {"creationTimestamp": made},
        "spec": {"nodeName": node, "containers": [{"resources": {"limits": limits}}, {}]},
        "status": {"phase": phase},
    }


def test_jobs_that_ask_for_no_gpu_or_wait_for_others_do_not_count() -> None:
    jobs = [
        Job(**{**vars(JOB), "gpus": 0}),
        Job(**{**vars(JOB), "reason": "Dependency"}),
        Job(**{**vars(JOB), "state": "COMPLETED"}),
    ]
    assert of_jobs(jobs, NOW) == Demand()


def test_jobs_that_wait_and_run_are_counted() -> None:
    runs = Job(**{**vars(JOB), "state": "RUNNING"})
    assert of_jobs([JOB, runs], NOW) == Demand(pending=1, running=1, waits_seconds=90)


def test_pods_that_wait_for_a_node_are_told_from_those_that_have_one() -> None:
    pods = [pod("Pending"), pod("Pending", node="gpu-worker-01"), pod("Running", node="a"),
            pod("Running", gpus=0, node="a"), pod("Succeeded", node="a")]  # fmt: skip
    assert of_pods(pods, NOW) == Demand(pending=1, running=2, waits_seconds=60)


def test_a_pod_that_is_being_deleted_waits_for_nothing() -> None:
    going = pod("Pending")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert of_pods([going], NOW) == Demand()


@pytest.mark.parametrize("cursor", [None, "", "{}"])
def test_an_owner_seen_for_the_first_time_has_it_from_now_on(cursor: str | None) -> None:
    assert remembered([gpu("one")], cursor, 100.0) == {"0000:01:00.0": ("one", 100.0)}


def test_the_moment_is_kept_until_another_has_it() -> None:
    first = remembered([gpu("one")], None, 100.0)
    same = remembered([gpu("one")], json.dumps(first), 200.0)
    assert same == first
    other = remembered([gpu("two")], json.dumps(same), 300.0)
    assert other == {"0000:01:00.0": ("two", 300.0)}


def tick(
    monkeypatch: pytest.MonkeyPatch, demands: dict[Side, Demand] | None, owner: str | None
) -> list[dg.RunRequest | dg.SkipReason]:
    """What one tick gives, in a file whose two clusters share a GPU."""
    site = sites.site()
    wishes = (Party("a", "hpc", "hpc", is_active=True), Party("b", "cloud", "cloud", False))
    held = replace(gpu(owner), wanted_by=wishes)
    monkeypatch.setattr(gpu_demand, "measured", lambda *_: demands)
    monkeypatch.setattr(GpuSite, "look", lambda _: (None, (held,)))
    (sensor,) = gpu_demand.build_sensors(build_jobs(site))
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(
            instance=instance, cursor=json.dumps({held.address: [owner or "", 0.0]}),
            resources={"gpu_site": site},
            definitions=dg.Definitions([gpu_owner], jobs=build_jobs(site),
                                       resources={"gpu_site": site}),
        )  # fmt: skip
        found: object = sensor(context)
        assert isinstance(found, Iterator)
        return list(found)


def test_without_both_schedulers_nothing_is_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = tick(monkeypatch, None, "a")
    assert isinstance(found, dg.SkipReason)
    assert "must both be named" in str(found.skip_message)


def test_a_gpu_that_nobody_waits_for_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = tick(monkeypatch, {"hpc": Demand(), "cloud": Demand()}, "a")
    assert isinstance(found, dg.SkipReason)
    assert found.skip_message == "0000:01:00.0: cloud does not wait for it"


def test_the_cluster_that_waits_gets_it_by_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = Demand(pending=1, waits_seconds=60)
    (found,) = tick(monkeypatch, {"hpc": Demand(), "cloud": waits}, "a")
    assert isinstance(found, dg.RunRequest)
    given = found.run_config["ops"]["gpu_owner"]["config"]
    assert (given["gpu"], given["to"]) == ("0000:01:00.0", "b")
