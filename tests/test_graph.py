"""The contract of the graph: a change of any name, edge, check or job shows here first."""

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from cloud_assets import definitions, keys
from cloud_assets.stages import STAGES

REPOSITORY = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
LIMIT_OF_LINES = 80

#: asset: what it is made from, whether a checkpoint is its partition, its pool, its kind
ASSETS = {
    "checkpoint": ((), True, None, "huggingface"),
    "model_artifact": (("checkpoint",), True, None, "s3"),
    "registered_model": (("model_artifact",), True, None, "mlflow"),
    "inference_service": (("registered_model",), True, "gpu", "openai"),
    "quality_report": (("inference_service",), True, "gpu", "openai"),
    "benchmark_report": (("inference_service",), True, "gpu", "locust"),
    "release": (("benchmark_report", "inference_service", "quality_report"), True, None, "mlflow"),
    "benchmark_trend": (("release",), False, None, "html"),
    "endpoint": (("release",), False, None, "openai"),
}

#: asset, check: whether it ends the run. The two gates do not: `release` must be reached.
CHECKS = {
    ("checkpoint", "complete"): True,
    ("checkpoint", "safe"): True,
    ("model_artifact", "matches_manifest"): True,
    ("registered_model", "source_exists"): True,
    ("inference_service", "answers"): True,
    ("quality_report", "accuracy_holds"): False,
    ("benchmark_report", "targets_met"): False,
}

JOBS = {
    "release_checkpoint": {*STAGES, "benchmark_trend"},
    "converge_endpoints": {"endpoint"},
}

SENSORS = {
    "new_checkpoints": {"release_checkpoint"},
    "failed_runs": {"converge_endpoints"},
    "drift": {"release_checkpoint", "converge_endpoints"},
}


@pytest.fixture(scope="module")
def graph() -> AssetGraph:
    return definitions.defs.resolve_asset_graph()


def test_it_is_loadable() -> None:
    dg.Definitions.validate_loadable(definitions.defs)


def test_these_are_its_assets(graph: AssetGraph) -> None:
    assert {key.to_user_string() for key in graph.get_all_asset_keys()} == set(ASSETS)


@pytest.mark.parametrize("name", ASSETS)
def test_an_asset_is_what_the_table_says(graph: AssetGraph, name: str) -> None:
    found = graph.get(dg.AssetKey(name))
    parents = tuple(sorted(key.to_user_string() for key in found.parent_keys))
    parents_wanted, partitioned, pool, kind = ASSETS[name]
    assert parents == parents_wanted
    assert found.partitions_def == (keys.CHECKPOINTS if partitioned else None)
    assert found.pools == ({pool} if pool else set())
    assert found.kinds == {kind}


@pytest.mark.parametrize("name", ASSETS)
def test_an_asset_tells_whose_it_is_and_what_it_means(graph: AssetGraph, name: str) -> None:
    found = graph.get(dg.AssetKey(name))
    assert (found.group_name, found.owners) == ("ml", ["team:ml-platform"])
    assert found.code_version
    assert found.description
    assert found.is_executable


def test_these_are_its_checks(graph: AssetGraph) -> None:
    found = {
        (key.asset_key.to_user_string(), key.name): graph.get_check_spec(key).blocking
        for key in graph.asset_check_keys
    }
    assert found == CHECKS


def test_every_check_is_of_one_checkpoint_and_says_what_it_wants(graph: AssetGraph) -> None:
    specs = [graph.get_check_spec(key) for key in graph.asset_check_keys]
    assert {spec.partitions_def for spec in specs} == {keys.CHECKPOINTS}
    assert all(spec.description for spec in specs)


def test_the_stages_stand_in_the_order_in_which_they_are_made(graph: AssetGraph) -> None:
    before: set[str] = set()
    for stage in STAGES:
        parents = {key.to_user_string() for key in graph.get(dg.AssetKey(stage)).parent_keys}
        assert parents <= before
        before.add(stage)


@pytest.mark.parametrize("name", JOBS)
def test_a_job_runs_these_assets_in_one_process(name: str) -> None:
    job = definitions.defs.resolve_job_def(name)
    selected = {key.to_user_string() for key in job.asset_layer.executable_asset_keys}
    assert (selected, job.executor_def) == (JOBS[name], dg.in_process_executor)


def test_there_are_no_other_jobs() -> None:
    jobs = {job.name for job in definitions.defs.resolve_all_job_defs()}
    assert {name for name in jobs if not name.startswith("__")} == set(JOBS)


@pytest.mark.parametrize("name", SENSORS)
def test_a_sensor_runs_by_itself_and_asks_for_these_jobs(name: str) -> None:
    sensor = definitions.defs.resolve_sensor_def(name)
    asked = {target.job_name for target in sensor.targets}
    assert (asked, sensor.default_status) == (SENSORS[name], dg.DefaultSensorStatus.RUNNING)
    assert sensor.description


def test_there_are_no_other_sensors() -> None:
    assert {sensor.name for sensor in definitions.defs.sensors or ()} == set(SENSORS)


def test_it_is_put_together_in_few_lines() -> None:
    text = Path(definitions.__file__).read_text()
    assert len(text.splitlines()) <= LIMIT_OF_LINES


def test_loading_it_touches_nothing(tmp_path: Path) -> None:
    """Dagster loads the graph in many processes, some of them before the platform is up."""
    command = [sys.executable, "-W", "error", "-c", WATCHED_IMPORT]
    seen = json.loads(_run(command, tmp_path, home=tmp_path))
    assert (seen, list(tmp_path.iterdir())) == ([], [])


WATCHED_IMPORT = f"""
import json, os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
sys.path.insert(0, {str(REPOSITORY)!r})
seen = []
WATCHED = ("socket.connect", "socket.bind", "subprocess.Popen", "os.posix_spawn", "os.mkdir",
           "os.remove", "os.rename", "os.putenv", "shutil.rmtree", "os.fork", "sqlite3.connect")
def audit(event, arguments):
    write = event == "open" and isinstance(arguments[2], int) and arguments[2] & (
        os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if write or event in WATCHED:
        seen.append([event, repr(arguments)])
import dagster
sys.addaudithook(audit)
import cloud_assets.definitions
print(json.dumps(seen))
"""


def _run(command: list[str], directory: Path, *, home: Path) -> str:
    """What the command printed, run with next to no environment."""
    ended = subprocess.run(
        command,
        cwd=directory,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.real
def test_the_workspace_file_loads_it(tmp_path: Path) -> None:
    command = [str(BIN / "dagster"), "definitions", "validate", "-w", "workspace.yaml"]
    _run(command, REPOSITORY, home=tmp_path)


@pytest.mark.real
def test_dagsters_own_project_check_passes(tmp_path: Path) -> None:
    _run([str(BIN / "dg"), "check", "defs"], REPOSITORY, home=tmp_path)
