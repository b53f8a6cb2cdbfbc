"""`ai-how system start` is a run: it outlives the command, and its own process.

Machines are libvirt's simulation in a daemon. Slurm is named and nobody answers there, so that a
start waits for a minute between its halves.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from cloud_assets.stages import REASON_TAG, SYSTEM_JOB
from resources.dagster.graphql import Run
from resources.libvirt import Connection, observe
from tests.doubles.embedded_platform import EmbeddedPlatform
from tests.hypervisor.cell import Hypervisor
from tests.machines.conftest import cloud, hpc

pytestmark = [pytest.mark.e2e, pytest.mark.hypervisor, pytest.mark.timeout(900)]

HPC = {"hpc-controller", "hpc-compute-01", "hpc-compute-02"}
CLOUD = {"cloud-control-plane", "cloud-cpu-worker-01"}
WORKER_TAG = "ai-how/worker"
#: In the place of ssh: a login that never comes about.
_SSH = "#!/bin/sh\nif [ -e {mended} ]; then echo no; exit 1; fi\nexit 255\n"


@dataclass
class Site:
    """A platform that is up; `mended` is a file with which a start no longer waits."""

    platform: EmbeddedPlatform
    connection: Connection
    mended: Path

    def active(self) -> set[str]:
        return {each.name for each in observe(self.connection).domains if each.is_active} - {"test"}

    def runs(self, reason: str) -> list[Run]:
        """Those for that reason, the first first."""
        return list(reversed(self.platform.graph.runs(tags={REASON_TAG: reason})))

    def between_the_halves(self) -> bool:
        return self.active() == HPC

    def ended(self, reason: str, number: int = 1) -> list[Run]:
        def over() -> list[Run] | None:
            runs = self.runs(reason)
            return runs if len(runs) == number and all(each.finished for each in runs) else None

        return self.platform.until(over, seconds=240)

    @contextmanager
    def starting(self, reason: str) -> Iterator["subprocess.Popen[str]"]:
        """Within, the command is under way, and all of HPC is on."""
        self.mended.unlink(missing_ok=True)
        command = [str(Path(sys.executable).with_name("ai-how")), "system", "start"]
        with subprocess.Popen(
            [*command, "--reason", reason], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env={**os.environ, "AI_HOW_CLUSTER": str(self.platform.file)},
        ) as process:  # fmt: skip
            try:
                self.platform.until(self.between_the_halves)
                yield process
            finally:
                process.kill()


@pytest.fixture(scope="module")
def up(hypervisor: Hypervisor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("system")
    (home / "key.pub").write_text("ssh-ed25519 AAAA somebody\n")
    (home / "bin").mkdir()
    ssh, mended = home / "bin" / "ssh", home / "mended"
    ssh.write_text(_SSH.format(mended=mended))
    ssh.chmod(0o755)
    with Connection(hypervisor.simulated_uri) as connection, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{ssh.parent}{os.pathsep}{os.environ['PATH']}")
        changes = {
            "machines": {"uri": hypervisor.simulated_uri, "pool_root": "/pools",
                         "ssh_public_key": "key.pub"},
            "slurm": {"login": "nobody@127.0.0.1"},
        }  # fmt: skip
        platform = EmbeddedPlatform(home, changes, {"hpc": hpc(), "cloud": cloud()})
        try:
            platform.up()
            yield Site(platform, connection, mended)
        finally:
            platform.down()


@pytest.fixture
def site(up: Site) -> Iterator[Site]:
    """With nothing made yet, and nothing left."""
    yield up
    up.mended.touch()
    assert up.platform.ai_how("system", "destroy", "--force", seconds=300).returncode == 0


@contextmanager
def stranger(connection: Connection) -> Iterator[None]:
    """Within, a machine of the cloud has a name that is somebody else's, so the cloud fails."""
    domain = connection.handle().defineXML(
        "<domain type='test'><name>cloud-gpu-worker-01</name><memory>65536</memory>"
        "<os><type>hvm</type></os></domain>"
    )
    try:
        yield
    finally:
        domain.undefine()


def test_a_killed_command_leaves_the_run_going(site: Site) -> None:
    with site.starting("the command dies") as command:
        command.kill()
        told = site.platform.ai_how("system", "status").stdout
        assert "a `system start` is under way since" in told
        site.mended.touch()
    [run] = site.ended("the command dies")
    assert (run.job, run.status) == (SYSTEM_JOB, "SUCCESS")
    assert site.active() == HPC | CLOUD
    assert "`system start`" not in site.platform.ai_how("system", "status").stdout


def test_a_failure_after_the_run_was_killed_puts_back_what_the_first_attempt_found(
    site: Site,
) -> None:
    """One machine ran before; it alone does afterwards."""
    site.mended.touch()
    assert site.platform.ai_how("hpc", "start", seconds=300).returncode == 0
    for name in HPC - {"hpc-controller"}:
        assert site.platform.ai_how("vm", "stop", name, "--force").returncode == 0
    with stranger(site.connection), site.starting("the run dies") as command:
        [first] = site.runs("the run dies")
        psutil.Process(int(first.tags[WORKER_TAG].partition(":")[0])).kill()
        first, second = site.ended("the run dies", 2)
        _, told = command.communicate(timeout=100)
    assert command.returncode == 1
    assert f"run {second.run_id} goes on" in told
    assert "is not ours; off again: hpc-compute-01, hpc-compute-02" in told
    assert [first.status, second.status] == ["FAILURE", "FAILURE"]
    assert site.active() == {"hpc-controller"}
    assert "`system start`" not in site.platform.ai_how("system", "status").stdout


def test_after_the_run_was_killed_its_retry_goes_through(site: Site) -> None:
    with site.starting("the run dies, all is well") as command:
        [first] = site.runs("the run dies, all is well")
        site.mended.touch()
        psutil.Process(int(first.tags[WORKER_TAG].partition(":")[0])).kill()
        printed, told = command.communicate(timeout=200)
    assert command.returncode == 0, told
    assert printed.startswith("system: running\n")
    assert site.active() == HPC | CLOUD
