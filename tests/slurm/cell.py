"""A real Slurm on this machine: one node with two GPUs that are none.

On ports and in a directory of its own; gone with the block that runs it, whatever its jobs do.
"""

import os
import platform
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from resources.errors import NeedsRepair, PermanentError
from resources.ports import free_ports
from tests.testbed.build import apt

NODE = "node-01"
GPUS = 2
_HERE = Path(__file__).parent
_PACKAGES = {
    "munged": "munge",
    "sbatch": "slurm-client",
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "unshare": "util-linux",
}
_START_SECONDS = 30
_CONFIGURATION = """\
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmctldPort={controller}
SlurmdPort={node}
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd.pid
SlurmctldLogFile={home}/slurmctld.log
SlurmdLogFile={home}/slurmd.log
AuthType=auth/munge
AuthInfo=socket={home}/munge/socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=1,batch_sched_delay=0
GresTypes=gpu
NodeName={name} NodeAddr=127.0.0.1 NodeHostname={host} CPUs=2 RealMemory=500 Gres=gpu:fake:{gpus}
PartitionName=gpu Nodes={name} Default=YES MaxTime=INFINITE State=UP
"""


@dataclass(frozen=True)
class Running:
    """One that runs: its configuration, and the name of its node."""

    configuration: Path
    node: str


@contextmanager
def running() -> Iterator[Running]:
    """Within it runs. Raises NeedsRepair where this machine cannot, or it does not come up."""
    _prepare()
    home = Path(tempfile.mkdtemp(prefix="ai-how-slurm-"))
    _write(home)
    # It ends with this process too, however that ends, and takes all that the daemons started.
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child",
               "--mount-proc", "sh", str(_HERE / "cell.sh"), str(home)]  # fmt: skip
    cell = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        _until_idle(home, cell)
        yield Running(home / "slurm.conf", NODE)
    finally:
        cell.send_signal(signal.SIGKILL)
        cell.wait()
        shutil.rmtree(home)


def _prepare() -> None:
    if platform.system() != "Linux" or os.geteuid() != 0:
        raise _refusal("it needs Linux and root, for device files and its daemons", "run it there")
    folders = os.environ.get("PATH", "").split(os.pathsep)
    os.environ["PATH"] = os.pathsep.join(dict.fromkeys([*folders, "/usr/sbin", "/sbin"]))
    missing = sorted({name for tool, name in _PACKAGES.items() if shutil.which(tool) is None})
    if not missing:
        return
    hint = f"install {' '.join(missing)}"
    if shutil.which("apt-get") is None:
        raise _refusal("commands of it are missing", hint)
    try:
        apt.install(missing)
    except PermanentError as error:
        raise _refusal(error.reason, hint) from error


def _write(home: Path) -> None:
    home.chmod(0o755)
    for folder in ("munge", "state", "spool"):
        (home / folder).mkdir(mode=0o755)
    key = home / "munge.key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    devices = [home / f"gpu{number}" for number in range(GPUS)]
    for device in devices:
        # Slurm wants character devices; these are like /dev/null.
        os.mknod(device, 0o20666, os.makedev(1, 3))
    controller, node = free_ports(2)
    text = _CONFIGURATION.format(
        controller=controller, node=node, home=home, name=NODE, host=platform.node().split(".")[0],
        gpus=GPUS,
    )  # fmt: skip
    (home / "slurm.conf").write_text(text, "utf-8")
    files = "".join(f"NodeName={NODE} Name=gpu Type=fake File={each}\n" for each in devices)
    (home / "gres.conf").write_text(files, "utf-8")
    # Without it slurmd looks for a cgroup plugin, and fails on hosts with both versions of them.
    (home / "cgroup.conf").write_text("", "utf-8")


def _until_idle(home: Path, cell: subprocess.Popen[bytes]) -> None:
    environment = {**os.environ, "SLURM_CONF": str(home / "slurm.conf")}
    ask = ["sinfo", "--noheader", "--Node", "--Format", "StateLong"]
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and cell.poll() is None:
        told = subprocess.run(ask, env=environment, capture_output=True, text=True, check=False)
        if told.stdout.strip() == "idle":
            return
        time.sleep(0.1)
    logs = (home / name for name in ("munge.log", "slurmctld.log", "slurmd.log", "slurmd.out"))
    said = "\n".join(each.read_text("utf-8")[-1500:] for each in logs if each.exists())
    raise _refusal(f"its node did not become idle\n{said}", "see the logs")


def _refusal(reason: str, hint: str) -> NeedsRepair:
    return NeedsRepair("the test", "run a Slurm here", reason, hint=hint)
