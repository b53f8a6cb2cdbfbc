"""`ai-how hpc status` where a machine of the file is the node of a real Slurm."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from resources.slurm import Slurm
from tests.cli.commands.test_machines import run
from tests.hypervisor.bound import require_bindings
from tests.machines.standing import stood
from tests.slurm.cell import Running

pytestmark = pytest.mark.slurm

MACHINE = "hpc-compute-01"
SECONDS = 60.0


@dataclass
class Site:
    """The file, whose machines all run, and the Slurm that it names."""

    file: Path
    slurm: Slurm
    node: str

    def told(self) -> tuple[dict[str, str], str]:
        """The node's state by machine, and what is said of all below the table."""
        code, printed, told = run(self.file, "hpc", "status", "--json")
        assert code == 0, told
        nodes = {each["machine"]: each["node"] for each in json.loads(printed)}
        code, printed, told = run(self.file, "hpc", "status")
        assert code == 0, told
        [line] = [each for each in printed.splitlines() if each.startswith("Slurm: ")]
        return nodes, line


@pytest.fixture
def site(slurm_cell: Running, tmp_path: Path) -> Iterator[Site]:
    require_bindings()
    file, slurm = stood(tmp_path), Slurm(slurm_cell.configuration)
    document = yaml.safe_load(file.read_text("utf-8"))
    document["platform"]["slurm"] = {
        "configuration": str(slurm_cell.configuration), "nodes": {MACHINE: slurm_cell.node}
    }  # fmt: skip
    file.write_text(yaml.safe_dump(document), "utf-8")
    slurm.resume(slurm_cell.node)
    slurm.wait_ready(slurm_cell.node, timeout_seconds=SECONDS)
    yield Site(file, slurm, slurm_cell.node)
    for each in slurm.jobs():
        if each.is_pending or each.is_running:
            slurm.cancel(each.number)
    slurm.resume(slurm_cell.node)
    slurm.wait_ready(slurm_cell.node, timeout_seconds=SECONDS)


def _as_it_is(_: Site) -> None:
    """An idle node."""


def _busy(site: Site) -> None:
    number = site.slurm.submit("sleep 600", gpus=1)
    until_running(site.slurm, number)


def _drained(site: Site) -> None:
    site.slurm.drain(site.node, "a fan")


def _draining(site: Site) -> None:
    _busy(site)
    site.slurm.drain(site.node, "a fan")


def _down(site: Site) -> None:
    site.slurm.put_down(site.node, "its machine is off")


def until_running(slurm: Slurm, number: int) -> None:
    deadline = time.monotonic() + SECONDS
    while not any(each.number == number and each.is_running for each in slurm.jobs()):
        assert time.monotonic() < deadline, "it never ran"
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("arrange", "state"),
    [
        (_as_it_is, "ready"), (_busy, "ready"), (_drained, "closed"), (_draining, "closed"),
        (_down, "not ready"),
    ],
)  # fmt: skip
def test_a_machine_is_told_as_slurm_has_its_node(
    site: Site, arrange: Callable[[Site], None], state: str
) -> None:
    arrange(site)
    nodes, line = site.told()
    ready = int(state == "ready")
    assert (nodes[MACHINE], line) == (state, f"Slurm: {ready}/1 nodes ready")


def test_machines_that_are_no_nodes_have_no_state(site: Site) -> None:
    nodes, _ = site.told()
    assert {name: state for name, state in nodes.items() if state} == {MACHINE: "ready"}
