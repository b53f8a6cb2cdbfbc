"""A node on a host of its own: systemd-nspawn in the cell, its programs under its own systemd.

Killed, it is a machine that lost its power: pods and all. Started again, it comes back.
Run as `python -m tests.testbed.run.node_host HOME NUMBER` inside the cell.
"""

import os
import shlex
import sys
from pathlib import Path

from resources.supervisor import Program
from tests.testbed import pins
from tests.testbed.build import cache, commands, go_programs, node_root
from tests.testbed.run import cgroups, control_plane, network, node
from tests.testbed.run.node import Node
from tests.testbed.run.places import Places

_UNIT = """[Unit]
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
    module = ("-m", "tests.testbed.run.node_host")
    return control_plane.program(
        it.places, it.name, [sys.executable, *module, it.places.home, str(it.number)],
        environment={"PYTHONPATH": str(pins.REPOSITORY), "PATH": os.environ["PATH"]},
    )  # fmt: skip


def main(home: str, number: str) -> None:
    """Become the host."""
    it = Node(int(number), Places(Path(home)))
    cgroups.enter(it.name)
    root, groups = it.home / "root", it.home / "cgroup"
    if not groups.is_mount():
        cgroups.show_only(it.name, groups)
    if not root.is_mount():
        lower = cache.have(node_root.node_root()) / "root"
        layers = f"lowerdir={lower},upperdir={it.home / 'upper'},workdir={it.home / 'work'}"
        commands.run(["mount", "-t", "overlay", "overlay", "-o", layers, root])
    # A kubelet sets kernel parameters.
    environment = {**os.environ, "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "1"}
    words = _nspawn(it, root, groups)
    os.execvpe(words[0], words, environment)


def _nspawn(it: Node, root: Path, groups: Path) -> list[str]:
    kubernetes = cache.have(go_programs.kubernetes())
    return [
        "systemd-nspawn", "--quiet", "--boot", f"--directory={root}", f"--machine={it.name}",
        "--register=no", "--keep-unit", f"--network-bridge={network.BRIDGE}",
        "--capability=all", "--private-users=no", "--system-call-filter=@keyring bpf",
        f"--bind={groups}:/sys/fs/cgroup", "--bind=/dev/kmsg", f"--bind={it.home}",
        f"--bind={it.places.volumes}", f"--bind-ro={it.places.pki}", f"--bind-ro={kubernetes}",
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
    main(sys.argv[1], sys.argv[2])
