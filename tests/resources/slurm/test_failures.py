"""Which of Slurm's failures may be tried again, and that a hint says what mends the others."""

from pathlib import Path

import pytest

from resources.errors import ExternalError, NeedsRepair, PermanentError, TransientError, UsageError
from resources.slurm import NotFound, Slurm
from resources.slurm.failures import failure

SAID = [
    ("slurm_update error: Unable to contact slurm controller (connect failure)", TransientError),
    ("sbatch: error: Socket timed out on send/recv operation", TransientError),
    ("sinfo: fatal: Unable to process configuration file", NeedsRepair),
    ("error: Munge encode failed: Failed to access /run/munge/munge.socket.2", NeedsRepair),
    ("slurm_update error: Invalid node name specified", NotFound),
    ("scancel: error: Kill job error on job id 1: Access/permission denied", NeedsRepair),
    ("sbatch: error: Requested node configuration is not available", PermanentError),
    ("", PermanentError),
]


@pytest.mark.parametrize(("said", "kind"), SAID)
def test_words_decide(said: str, kind: type[ExternalError]) -> None:
    found = failure(said, "do it")
    assert type(found) is kind
    assert found.hint


@pytest.mark.parametrize("name", ["", "-h", "a,b", "a[1-2]", "ALL nodes", "a;b"])
def test_a_name_that_is_not_of_one_node_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        Slurm().drain(name, "no")


def test_a_machine_without_slurm_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(NeedsRepair, match="there is no command sinfo"):
        Slurm().nodes()


def test_a_command_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "squeue").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(TransientError, match=r"no answer in 0\.2 s"):
        Slurm(timeout_seconds=0.2).jobs()


def test_a_login_that_fails_may_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ssh").write_text("#!/bin/sh\necho no route >&2\nexit 255\n")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(TransientError, match="ssh to admin@head failed: no route"):
        Slurm(login="admin@head").nodes()


def test_words_reach_the_other_side_of_ssh_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ssh does: the words behind the host go through the shell there."""
    (tmp_path / "ssh").write_text('#!/bin/sh\nshift 6\nexec sh -c "$*"\n')
    answer = '{"nodes": [{"name": "n1", "state": "idle", "partitions": []}]}'
    (tmp_path / "sinfo").write_text(f"#!/bin/sh\necho '{answer}'\n")
    (tmp_path / "scontrol").write_text(f'#!/bin/sh\nprintf "%s|" "$@" > {tmp_path}/said\n')
    for name in ("ssh", "sinfo", "scontrol"):
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert Slurm(login="admin@head").drain("n1", "GPU's 2nd; owner $HOME")
    assert (tmp_path / "said").read_text() == (
        "update|NodeName=n1|State=DRAIN|Reason=GPU's 2nd; owner $HOME|"
    )
