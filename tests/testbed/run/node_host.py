"""A node on a host of its own: systemd-nspawn in the cell, its programs under its own systemd.

Killed, it is a machine that lost its power: pods and all. Started again, it comes back.
Run as `python -m tests.testbed.run.node_host HOME NUMBER TREE FOLDER…` inside the cell.
"""

import dataclasses
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from resources.supervisor import Program
from tests.testbed import pins
from tests.testbed.build import cache, commands, go_programs
from tests.testbed.build.image_store import image_store
from tests.testbed.build.node_root import node_root
from tests.testbed.run import cgroups, control_plane, network, node
from tests.testbed.run.node import Node
from tests.testbed.run.places import Places

# The kubelet ends until containerd answers, which may take longer than systemd lets a unit fail.
_UNIT = """[Unit]
StartLimitIntervalSec=0
After=testbed-network.service
[Service]
ExecStart={command}
Restart=always
RestartSec=1
Delegate=yes
KillMode=process
LimitNOFILE=1048576
"""
_NETWORK_UNIT = """[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c {script}
"""


def prepare(it: Node) -> None:
    """Write what the host differs in from the tree that all share."""
    units = it.home / "upper" / "etc" / "systemd" / "system"
    wanted = units / "multi-user.target.wants"
    wanted.mkdir(parents=True)
    (it.home / "work").mkdir()
    (it.home / "root").mkdir()
    (it.home / "cgroup").mkdir()
    texts = {"testbed-network": _NETWORK_UNIT.format(script=shlex.quote(_network_script(it)))}
    for name, command in node.commands(it).items():
        words = shlex.join(str(each) for each in command)
        texts[f"testbed-{name}"] = _UNIT.format(command=words)
    for name, text in texts.items():
        (units / f"{name}.service").write_text(text, "utf-8")
        (wanted / f"{name}.service").symlink_to(f"../{name}.service")


def program(it: Node) -> Program:
    """The host as a program of the cell's supervisord."""
    # Found here and not there: nothing is ever built in the cell.
    artefacts = map(cache.have, (node_root(), go_programs.kubernetes(), image_store()))
    module = ("-m", "tests.testbed.run.node_host")
    found = control_plane.program(
        it.places, it.name,
        [sys.executable, *module, it.places.home, str(it.number), *artefacts],
        environment={"PYTHONPATH": str(pins.REPOSITORY), "PATH": os.environ["PATH"]},
    )  # fmt: skip
    # Stopped is killed: nobody shuts a dead machine down.
    return dataclasses.replace(found, stopwaitsecs=0)


def main(home: str, number: str, tree: str, *shared: str) -> None:
    """Become the host on top of `tree`, with the `shared` folders in their places."""
    it = Node(int(number), Places(Path(home)))
    cgroups.enter(it.places.cgroup, it.name)
    root, groups = it.home / "root", it.home / "cgroup"
    if not groups.is_mount():
        cgroups.show_only(it.places.cgroup, it.name, groups)
    if not root.is_mount():
        layers = f"lowerdir={tree}/root,upperdir={it.home / 'upper'},workdir={it.home / 'work'}"
        commands.run(["mount", "-t", "overlay", "overlay", "-o", layers, root])
    network.remove_host(it.name)
    # A kubelet sets kernel parameters.
    environment = {**os.environ, "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "1"}
    words = _nspawn(it, groups, shared)
    os.execvpe(words[0], words, environment)


def _nspawn(it: Node, groups: Path, shared: Sequence[str]) -> list[str]:
    return [
        # Killed alone, nspawn may leave the host running; with its first process all of them go.
        "unshare", "--fork", "--kill-child", "--pid", "--mount-proc",
        "systemd-nspawn", "--quiet", "--boot", "--directory", str(it.home / "root"),
        f"--machine={it.name}", "--register=no", "--keep-unit",
        f"--network-bridge={network.BRIDGE}",
        "--capability=all", "--private-users=no", "--system-call-filter=@keyring bpf",
        f"--bind={groups}:/sys/fs/cgroup", "--bind=/dev/kmsg", f"--bind={it.home}",
        f"--bind={it.places.volumes}", f"--bind-ro={it.places.pki}",
        *(f"--bind-ro={each}" for each in shared),
        "--link-journal=no", "--console=pipe",
    ]  # fmt: skip


def _network_script(it: Node) -> str:
    prefix = pins.NODE_NETWORK.partition("/")[2]
    first = Node(1, it.places)
    return " && ".join(
        [
            f"ip address replace {it.address}/{prefix} dev host0",
            "ip link set host0 up",
            f"ip route replace {first.pods} via {first.address}",
            f"ip route replace default via {first.address}",
            "echo 1 > /proc/sys/net/ipv4/ip_forward",
        ]
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
