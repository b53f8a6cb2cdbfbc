"""For all rooms: a Kubernetes cluster, a hypervisor, a Slurm; left out unless asked for."""

import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, TypeVar

import pytest

from resources.errors import NeedsRepair
from tests.hypervisor import cell
from tests.hypervisor.cell import Hypervisor
from tests.hypervisor.vfio import rig
from tests.hypervisor.vfio.rig import Rig
from tests.slurm import cell as slurm_cells
from tests.testbed import sharing
from tests.testbed.cluster import S3, Cluster

#: The first test waits for the build of everything.
_TIMEOUT_SECONDS = 3600
#: What is left out unless asked for, with what runs it.
_ASKED_FOR = {
    "testbed": "`make test-cluster` (a Kubernetes cluster; root, Go and Debian's packages)",
    "hypervisor": "`make test-machines` (virtual machines; root and Debian's packages, no KVM)",
    "slurm": "`make test-slurm` (a Slurm; root and Debian's packages)",
}
_LEFT_OUT: pytest.StashKey[dict[str, int]] = pytest.StashKey()

T = TypeVar("T")


def pytest_sessionstart() -> None:
    """Take SIGINT as in a terminal: a shell has what it puts in the background ignore it.

    Children inherit that, and those that tests interrupt would go on for ever.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run what needs one of these only when the marker expression speaks of it."""
    # What ends the cluster comes first: fixtures of the others would outlive the one they saw.
    items.sort(key=lambda each: each.path.match("testbed/test_down.py"), reverse=True)
    left_out = config.stash.setdefault(_LEFT_OUT, {})
    for mark in _ASKED_FOR:
        marked = [each for each in items if each.get_closest_marker(mark)]
        for each in marked:
            if each.get_closest_marker("timeout") is None:
                each.add_marker(pytest.mark.timeout(_TIMEOUT_SECONDS))
        if marked and mark not in config.getoption("markexpr"):
            config.hook.pytest_deselected(items=marked)
            items[:] = [each for each in items if each not in marked]
            left_out[mark] = len(marked)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of xdist hands on what it left out: it collects, and the others print."""
    handed_on: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if handed_on is not None:
        handed_on["left_out"] = session.config.stash.get(_LEFT_OUT, {})


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a worker left out; each collects everything, so all say the same."""
    found = getattr(node, "workeroutput", {}).get("left_out", {})
    node.config.stash.setdefault(_LEFT_OUT, {}).update(found)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say what did not run for want of a word, and the word."""
    for mark, number in config.stash.get(_LEFT_OUT, {}).items():
        terminalreporter.line(f"left out: {number} tests that {_ASKED_FOR[mark]} runs")


@contextmanager
def _or_skipped(running: AbstractContextManager[T]) -> Iterator[T]:
    """What runs within; tests are skipped, with what would mend it, where it cannot."""
    with ExitStack() as stack:
        try:
            found = stack.enter_context(running)
        except NeedsRepair as problem:
            pytest.skip(f"{problem}; {problem.hint}")
        yield found


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster with KServe, shared with other test runs; one started by hand stays up."""
    with _or_skipped(sharing.used()) as found:
        yield found


@pytest.fixture(scope="session")
def s3(cluster: Cluster) -> S3:
    """An S3 server that pods and this machine reach."""
    if cluster.s3 is None:
        pytest.skip("no S3 server is known: name one by AI_HOW_TEST_S3 and the AWS variables")
    return cluster.s3


@pytest.fixture(scope="session")
def hypervisor() -> Iterator[Hypervisor]:
    """A libvirtd of this test run's own, with QEMU but without KVM; no guest of it stays."""
    with _or_skipped(cell.running()) as found:
        yield found


@pytest.fixture(scope="session")
def slurm_cell() -> Iterator[slurm_cells.Running]:
    """A Slurm of this test run's own, with one node; nothing of it stays."""
    with _or_skipped(slurm_cells.running()) as found:
        yield found


@pytest.fixture(scope="session")
def vfio() -> Iterator[Rig]:
    """A libvirtd in an emulated machine with an IOMMU and GPUs, of this test run's own."""
    with _or_skipped(rig.running()) as found:
        yield found
