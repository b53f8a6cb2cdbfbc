"""`ai-how topology` from outside: the file, and how things stand where libvirt answers."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cloud_assets.cli.commands.topology import Live, branches, live_of
from cloud_assets.machines.spec import desired
from cloud_assets.settings_file import read_cluster_file
from resources.libvirt import Observation
from tests.cli.test_main import run
from tests.hypervisor.bound import require_bindings
from tests.machines.standing import BY_DHCP, stood

SHARED = Path(__file__).parents[3] / "examples" / "clusters" / "shared-gpu.yaml"
NOWHERE = "qemu+unix:///system?socket=/nowhere"
SERVES = "cloud-gpu-worker-01"


def at(directory: Path, uri: str) -> Path:
    given = yaml.safe_load(SHARED.read_text("utf-8"))
    path = directory / "cluster.yaml"
    path.write_text(yaml.safe_dump({**given, "platform": {"machines": {"uri": uri}}}), "utf-8")
    return path


@pytest.fixture
def bound() -> None:
    require_bindings()


@pytest.fixture
def silent() -> Iterator[str]:
    """A hypervisor that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"qemu+tcp://127.0.0.1:{server.getsockname()[1]}/system"


def test_without_a_hypervisor_the_file_is_shown_with_a_note(tmp_path: Path) -> None:
    code, out, err = run("topology", "-c", str(at(tmp_path, NOWHERE)))
    assert code == 0
    assert err.startswith("the file alone is shown: libvirt could not ")
    lines = out.splitlines()
    assert lines[0] == "hpc: 192.168.100.0/24 on virbr100"
    assert lines[-1] == "└── 0000:01:00.0: hpc-compute-01 or cloud-gpu-worker-01, one at a time"


def test_the_file_is_json_too(tmp_path: Path) -> None:
    code, out, _ = run("topology", "-c", str(at(tmp_path, NOWHERE)), "--json")
    found = json.loads(out)
    assert code == 0
    assert [each["network"]["bridge"] for each in found["clusters"]] == ["virbr100", "virbr200"]
    assert found["gpus"] == {"0000:01:00.0": ["hpc-compute-01", "cloud-gpu-worker-01"]}
    assert found["live"] is None


@pytest.mark.usefixtures("bound")
def test_a_hypervisor_that_never_answers_is_not_waited_for(tmp_path: Path, silent: str) -> None:
    code, out, err = run("topology", "-c", str(at(tmp_path, silent)))
    assert (code, err) == (0, "the file alone is shown: libvirt did not answer in 5 s\n")
    assert out.startswith("hpc: ")


@pytest.mark.usefixtures("bound")
def test_what_was_never_made_is_absent(tmp_path: Path) -> None:
    code, out, err = run("topology", "-c", str(at(tmp_path, "test:///default")))
    assert (code, err) == (0, "")
    assert out.startswith("absent hpc: 192.168.100.0/24 on virbr100\n├── absent hpc-controller: ")
    assert "one at a time; nobody has it" in out


@pytest.mark.usefixtures("bound")
def test_states_of_machines_clusters_and_gpus_are_told(tmp_path: Path) -> None:
    file = stood(tmp_path, off=["hpc-compute-01", SERVES], absent=())
    code, out, err = run("topology", "-c", str(file))
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "partial hpc: 192.168.100.0/24 on virbr100, 2 of 3 machines run"
    assert lines[2].startswith("├── off hpc-compute-01: ")
    assert "running cloud: 192.168.200.0/24 on virbr200" in lines
    assert lines[-1].endswith(f"one at a time; {BY_DHCP} has it")


@pytest.mark.usefixtures("bound")
def test_a_conflict_is_marked_with_what_mends_it_and_is_red(tmp_path: Path) -> None:
    file = stood(tmp_path, off=[BY_DHCP], absent=())
    _, out, _ = run("topology", "-c", str(file), FORCE_COLOR="1", TERM="xterm")
    assert "\x1b[1;31mconflict\x1b[0m " in out
    _, out, _ = run("topology", "-c", str(file))
    assert f"conflict 0000:01:00.0: {BY_DHCP} or {SERVES}, one at a time; {SERVES} has it" in out
    assert f"`ai-how gpu switch 0000:01:00.0 --to {BY_DHCP}`" in out
    found = json.loads(run("topology", "-c", str(file), "--json")[1])["live"]
    assert found["owners"] == {"0000:01:00.0": SERVES, "0000:41:00.0": ""}
    assert [each["kind"] for each in found["conflicts"]] == ["taken"]
    assert found["machines"][BY_DHCP] == "off"
    assert found["clusters"] == {"hpc": "partial", "cloud": "running"}


def test_nothing_is_there_where_nothing_is_seen() -> None:
    read = read_cluster_file(SHARED)
    found = desired(read.clusters, read.platform.machines)
    live = live_of(found, Observation())
    assert set(live.machines.values()) == {"absent"}
    assert live.clusters == {"hpc": "absent", "cloud": "absent"}


def test_states_stand_before_names() -> None:
    read = read_cluster_file(SHARED)
    found = desired(read.clusters, read.platform.machines)
    states = {each.name: "off" for each in found.machines}
    hpc, *_ = branches(found, Live(states, {"hpc": "off", "cloud": "off"}, {}))
    assert (hpc.state, [each.state for each in hpc.below]) == ("off", ["off", "off"])
