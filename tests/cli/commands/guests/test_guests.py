"""`ai-how ssh`, `console`, `snapshot`, `inventory generate-…` from outside, on the test driver."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.hypervisor.bound import require_bindings
from tests.machines.standing import BY_DHCP, stood

REPOSITORY = Path(__file__).parents[4]
OFF = "cloud-gpu-worker-01"
SSH = """#!/bin/sh
printf '%s\\n' "$@" > "$TOLD"
exit 7
"""


@pytest.fixture(autouse=True)
def _bindings() -> None:
    require_bindings()


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    return stood(tmp_path, off=[OFF])


def run(cluster: Path, *words: str, **extra: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AI_HOW")}
    ended = subprocess.run(
        [sys.executable, "-m", "cloud_assets.cli.main", *words],
        cwd=cluster.parent,
        env={**environment, "PYTHONPATH": str(REPOSITORY), "AI_HOW_CLUSTER": str(cluster), **extra},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return ended.returncode, ended.stdout, ended.stderr


def test_the_command_line_of_a_login_is_printed(cluster: Path) -> None:
    code, printed, told = run(cluster, "ssh", "hpc-controller", "--print", "--", "uname", "-a")
    assert (code, told) == (0, "")
    assert printed.startswith(f"ssh -i {cluster.parent / 'key'} ")
    assert f"UserKnownHostsFile={cluster.parent / 'home/machines/known_hosts'}" in printed
    assert printed.endswith(" admin@192.168.100.10 -- uname -a\n")
    assert not (cluster.parent / "home").exists()


def test_a_login_ends_as_ssh_does(cluster: Path) -> None:
    program = cluster.parent / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(SSH)
    program.chmod(0o755)
    told = cluster.parent / "told"
    path = f"{program.parent}:{os.environ['PATH']}"
    code, printed, said = run(
        cluster, "ssh", "hpc-controller", "--", "true", "--force", PATH=path, TOLD=str(told)
    )
    assert (code, printed, said) == (7, "", "")
    assert told.read_text().splitlines()[-4:] == ["admin@192.168.100.10", "--", "true", "--force"]
    assert (cluster.parent / "home" / "machines").is_dir()


def test_without_ssh_it_is_told_what_to_install(cluster: Path) -> None:
    code, _, told = run(cluster, "ssh", "hpc-controller", PATH=str(cluster.parent))
    assert code == 1
    assert "openssh-client" in told


@pytest.mark.parametrize(
    ("name", "why", "mends"),
    [
        (OFF, "it is off", f"`ai-how vm start {OFF}` starts it"),
        (BY_DHCP, "it is in the file, and was not made yet", "`ai-how hpc start` makes it"),
        ("nobody", "there is no such machine", "there are cloud-control-plane"),
        ("somebody-else", "it is not the platform's", "use virsh for it"),
    ],
)
def test_a_machine_that_cannot_be_logged_in_on_has_one_error(
    cluster: Path, name: str, why: str, mends: str
) -> None:
    code, printed, told = run(cluster, "ssh", name)
    assert (code, printed) == (1, "")
    assert why in told.splitlines()[0]
    assert told.splitlines()[2].startswith(f"hint: {mends}")


def test_a_machine_without_an_address_is_looked_at_by_its_console(tmp_path: Path) -> None:
    code, _, told = run(stood(tmp_path, absent=()), "ssh", BY_DHCP)
    assert code == 1
    assert "it has no address yet" in told
    assert f"`ai-how console {BY_DHCP}`" in told


def test_a_console_that_was_never_written_is_told(cluster: Path) -> None:
    code, printed, told = run(cluster, "console", "hpc-controller")
    assert (code, printed) == (1, "")
    assert "there is no /pools/hpc/hpc-controller.console.log here" in told


def test_a_snapshot_is_made_and_named_by_the_time(cluster: Path) -> None:
    code, printed, told = run(cluster, "snapshot", "create", "hpc-controller", "--json")
    [made] = json.loads(printed)
    assert (code, made["machine"], made["state"]) == (0, "hpc-controller", "running")
    no_record = "the platform is down: no run keeps a record of this"
    assert told == f"{no_record}\nhpc-controller: kept as {made['name']}\n"


def test_a_cluster_is_kept_but_for_what_was_not_made(cluster: Path) -> None:
    code, printed, told = run(cluster, "snapshot", "create", "--cluster", "hpc", "here", "--json")
    assert code == 0
    found = [(each["machine"], each["name"]) for each in json.loads(printed)]
    assert found == [("hpc-controller", "here"), ("hpc-compute-01", "here")]
    assert f"left out, since not made yet: {BY_DHCP}" in told


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("create",), 2, "there is no machine to act on"),
        (("create", "a", "b", "c"), 2, "there is one word too many: c"),
        (("delete", "hpc-controller"), 2, "there is no snapshot to delete"),
        (("revert", "hpc-controller"), 2, "there are no snapshots of hpc-controller"),
        (("list", "hpc-controller"), 0, "there are no snapshots of hpc-controller"),
        (("delete", "hpc-controller", "x"), 0, "there is no snapshot x of hpc-controller"),
        (("revert", "hpc-controller", "x", "--force"), 1, "no such snapshot of hpc-controller"),
        (("create", "nobody"), 1, "there is no such machine"),
    ],
)
def test_what_cannot_be_done_with_snapshots_is_told(
    cluster: Path, words: tuple[str, ...], code: int, told: str
) -> None:
    ended, printed, said = run(cluster, "snapshot", *words)
    assert (ended, printed) == (code, "")
    assert told in said


def test_going_back_asks_first(cluster: Path) -> None:
    code, printed, told = run(cluster, "snapshot", "revert", "hpc-controller", "x")
    assert (code, printed.strip()) == (1, "")
    assert "take hpc-controller back to x? What they wrote since then is lost" in told


def test_an_inventory_is_printed_and_names_who_is_left_out(cluster: Path) -> None:
    code, printed, told = run(cluster, "inventory", "generate-k8s", "-f", "yaml")
    found = yaml.safe_load(printed)["all"]
    assert code == 0
    assert list(found["hosts"]) == ["control-plane", "cpu-worker-01"]
    assert found["vars"]["ansible_user"] == "admin"
    assert told == f"{OFF} is left out: it is off, as `auto_start: false` has it\n"


def test_an_inventory_is_written_for_whom_it_is_asked(cluster: Path) -> None:
    target = cluster.parent / "new" / "hosts.ini"
    code, printed, told = run(
        cluster, "inventory", "generate-k8s", str(cluster), "cloud", "-o", str(target),
        "--ssh-user", "ops", "--ssh-key", "/keys/ops",
    )  # fmt: skip
    assert (code, printed) == (0, "")
    assert told.endswith(f"wrote {target}\n")
    written = target.read_text()
    assert "ansible_user=ops\nansible_ssh_private_key_file=/keys/ops\n" in written
    assert "[k8s_cluster:children]\nkube_control_plane\nkube_node\ncalico_rr\n" in written


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("generate-hpc",), 1, f"{BY_DHCP} does not run"),
        (("generate-hpc", "cloud"), 2, "`cloud` is not the hpc cluster"),
        (("generate-k8s", "nowhere.yaml"), 2, "No such file"),
        (("generate-k8s", "a.yaml", "b", "c"), 2, "there is one word too many: c"),
    ],
)
def test_an_inventory_that_cannot_be_is_told(
    cluster: Path, words: tuple[str, ...], code: int, told: str
) -> None:
    ended, printed, said = run(cluster, "inventory", *words)
    assert (ended, printed) == (code, "")
    assert told in said
