"""`ai-how gpu` and `ai-how inventory` from outside, on libvirt's test driver with a GPU."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from tests.hypervisor.bound import require_bindings
from tests.machines.gpus.site import AUDIO, FILE, GPU, NODE, SERVES, TRAINS, document, machine, site

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def bound() -> None:
    require_bindings()


def written(directory: Path, *running: str, devices: Sequence[str] = (GPU, AUDIO)) -> Path:
    """Two clusters that share a GPU, on a hypervisor with these of their machines, which run."""
    desired = site().desired
    found = [document(each, machine(desired, each).uuid, devices) for each in running]
    off = [each for each in (TRAINS, SERVES) if each not in running]
    found += [
        document(each, machine(desired, each).uuid, devices).replace(
            "<domain type='test'>",
            "<domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>"
            "<test:runstate>5</test:runstate>",
        )
        for each in off
    ]
    node = directory / "node.xml"
    text = NODE.read_text("utf-8").replace("</node>", f"{''.join(found)}</node>")
    node.write_text(text, "utf-8")
    given = yaml.safe_load(FILE.read_text("utf-8"))
    platform = {"ports": {"dagster": 1, "mlflow": 2, "gateway": 3},
                "machines": {"uri": f"test://{node}"}}  # fmt: skip
    path = directory / "cluster.yaml"
    path.write_text(yaml.safe_dump({**given, "platform": platform}), "utf-8")
    return path


def run(cluster: Path, *words: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AI_HOW")}
    ended = subprocess.run(
        [sys.executable, "-m", "cloud_assets.cli.main", *words],
        cwd=cluster.parent,
        env={**environment, "PYTHONPATH": str(REPOSITORY), "AI_HOW_CLUSTER": str(cluster)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("gpu", "owner", "0000:99:00.0"), "there is no GPU 0000:99:00.0"),
        (("gpu", "switch", GPU, "--to", "absent"), "no machine is called `absent`"),
        (("gpu", "switch", GPU, "--to", SERVES, "--drain-seconds", "-1"), "--drain-seconds"),
    ],
)
def test_a_wrong_request_ends_in_2(tmp_path: Path, words: Sequence[str], told: str) -> None:
    code, printed, said = run(written(tmp_path), *words)
    assert (code, printed) == (2, "")
    assert told in said


def test_gpus_are_listed_with_owners_and_wishes(tmp_path: Path) -> None:
    cluster = written(tmp_path, TRAINS)
    code, printed, said = run(cluster, "gpu", "list")
    assert (code, said) == (0, "")
    line = next(each for each in printed.splitlines() if GPU in each)
    cells = " ".join(line.split())
    assert cells.startswith(f"{GPU} taken {TRAINS} (hpc) {TRAINS} (hpc), {SERVES} (cloud)")
    found = json.loads(run(cluster, "inventory", "gpu", "--json")[1])
    assert found[0]["owner"]["name"] == TRAINS
    assert found[0]["siblings"] == [AUDIO]


def test_the_owner_of_a_gpu_is_told(tmp_path: Path) -> None:
    code, printed, _ = run(written(tmp_path, SERVES), "gpu", "owner", GPU, "--json")
    assert code == 0
    assert json.loads(printed) == [{"gpu": GPU, "owner": SERVES, "cluster": "cloud"}]


def test_no_conflict_ends_in_0(tmp_path: Path) -> None:
    code, printed, said = run(written(tmp_path, TRAINS), "gpu", "conflicts")
    assert (code, printed) == (0, "")
    assert said == "every machine can have the GPUs that the file gives it\n"


def test_a_conflict_ends_in_3_with_the_command_that_mends_it(tmp_path: Path) -> None:
    cluster = written(tmp_path, SERVES)
    code, printed, said = run(cluster, "gpu", "conflicts")
    assert (code, said) == (3, "")
    assert f"GPU {GPU} is currently allocated to `{SERVES}` of cluster `cloud`" in printed
    assert f"ai-how gpu switch {GPU} --to {TRAINS}" in printed
    code, printed, _ = run(cluster, "gpu", "conflicts", "--json")
    assert (code, json.loads(printed)[0]["kind"]) == (3, "taken")


def test_a_dry_run_shows_the_steps_and_asks_nothing_of_the_platform(tmp_path: Path) -> None:
    cluster = written(tmp_path, TRAINS)
    code, printed, said = run(cluster, "gpu", "switch", GPU, "--to", SERVES, "--dry-run", "--json")
    assert (code, said) == (0, "")
    steps = [(each["step"], each["machine"], each["outcome"]) for each in json.loads(printed)]
    assert steps == [
        ("drain", TRAINS, "left out"),
        ("stop", TRAINS, "to do"),
        ("release", TRAINS, "to do"),
        ("start", SERVES, "to do"),
        ("ready", SERVES, "left out"),
    ]


def test_a_switch_is_a_run_of_the_platform(tmp_path: Path) -> None:
    code, _, said = run(written(tmp_path, TRAINS), "gpu", "switch", GPU, "--to", SERVES)
    assert code == 1
    assert "ai-how up" in said


def test_a_machine_that_has_it_already_is_left_alone(tmp_path: Path) -> None:
    code, printed, said = run(written(tmp_path, SERVES), "gpu", "switch", GPU, "--to", SERVES)
    assert (code, printed, said) == (0, "", f"{SERVES} has GPU {GPU} already\n")


def test_devices_are_listed_with_drivers_and_groups(tmp_path: Path) -> None:
    code, printed, _ = run(written(tmp_path), "inventory", "pcie", "--json")
    assert code == 0
    audio = next(each for each in json.loads(printed) if each["address"] == AUDIO)
    assert (audio["class"], audio["group"], audio["vfio"]) == ("0x040300", 1, "no")
