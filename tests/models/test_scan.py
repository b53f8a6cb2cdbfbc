"""Finding checkpoints by name, and knowing when one is quiet."""

import os
import shutil
from pathlib import Path

import pytest

from cloud_assets.identity import CheckpointKey
from cloud_assets.models import scan
from cloud_assets.models.scan import Observation, observe
from cloud_assets.settings import Root
from resources.errors import TransientError


def make(root: Path, *names: str) -> None:
    for name in names:
        (root / name).mkdir(parents=True)


def test_checkpoints_are_found_two_levels_down(tmp_path: Path) -> None:
    make(tmp_path, "a/checkpoint-1", "a/checkpoint-20", "b.v2/checkpoint-3", "b.v2/logs", "empty")
    (tmp_path / "file").touch()
    (tmp_path / "a" / "checkpoint-9").touch()

    keys = {str(found.key) for found in scan.list_checkpoints(tmp_path, "qa")}

    assert keys == {"qa.a.1", "qa.a.20", "qa.b.v2.3"}


def test_every_key_that_is_found_leads_back_to_its_directory(tmp_path: Path) -> None:
    make(
        tmp_path,
        "a/checkpoint-1",
        "b.v2/checkpoint-3",
        ".hidden/checkpoint-4",
        "..x/checkpoint-5",
        "end./checkpoint-6",
        "1.2.3/checkpoint-7",
    )
    roots = [Root(path=tmp_path, model="qa")]

    for found in scan.list_checkpoints(tmp_path, "qa"):
        assert found.key is not None
        assert CheckpointKey.parse(str(found.key)) == found.key
        assert scan.directory_of(roots, found.key) == found.directory


@pytest.mark.parametrize(
    "run",
    [
        "with space",
        "a,b",
        "line\nbreak",
        "x" * 255,
        "semi;colon",
        "ünï",
        "\x1b[31m",
        "‮evil",
        os.fsdecode(b"\xff"),
        "a\n",
        "-" * 60,
    ],
)
def test_a_run_whose_name_makes_no_key_is_listed_with_the_reason(tmp_path: Path, run: str) -> None:
    make(tmp_path, f"{run}/checkpoint-1")

    (found,) = scan.list_checkpoints(tmp_path, "qa")

    assert found.key is None
    assert found.refusal is not None
    assert found.refusal.isprintable()
    assert len(found.refusal) < 250
    assert found.fix


@pytest.mark.parametrize(
    "name",
    [
        "checkpoint-",
        "checkpoint-best",
        "checkpoint-1 copy",
        "checkpoint-1\n",
        "checkpoint-007",
        "checkpoint-١",
        "checkpoint--1",
        "checkpoint-" + "9" * 200,
        "checkpoint-1.5",
    ],
)
def test_a_directory_that_is_not_checkpoint_n_is_listed_with_the_reason(
    tmp_path: Path, name: str
) -> None:
    make(tmp_path, f"run/{name}")

    (found,) = scan.list_checkpoints(tmp_path, "qa")

    assert found.key is None
    assert found.refusal is not None
    assert found.refusal.isprintable()


def test_links_are_not_followed(tmp_path: Path) -> None:
    make(tmp_path, "elsewhere/run/checkpoint-1", "root/run")
    (tmp_path / "root" / "other").symlink_to(tmp_path / "elsewhere" / "run")
    (tmp_path / "root" / "run" / "checkpoint-2").symlink_to(tmp_path / "elsewhere")

    assert list(scan.list_checkpoints(tmp_path / "root", "qa")) == []


def test_a_root_that_is_not_there_is_an_error_that_passes(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match="no such directory"):
        list(scan.list_checkpoints(tmp_path / "nowhere", "qa"))


def test_a_run_that_vanishes_while_listing_is_left_out(tmp_path: Path) -> None:
    make(tmp_path, *(f"run{number}/checkpoint-1" for number in range(5)))
    found = scan.list_checkpoints(tmp_path, "qa")
    first = next(found)
    for run in tmp_path.iterdir():
        if run.name != first.run:
            shutil.rmtree(run)

    assert list(found) == []


def test_no_directory_is_known_for_another_model_or_a_missing_step(tmp_path: Path) -> None:
    make(tmp_path, "run/checkpoint-1")
    roots = [Root(path=tmp_path, model="qa")]

    assert scan.directory_of(roots, CheckpointKey("other", "run", 1)) is None
    assert scan.directory_of(roots, CheckpointKey("qa", "run", 2)) is None


def test_a_first_look_is_never_quiet_enough() -> None:
    quiet = observe(None, "a", now=100.0, quiet_seconds=30)

    assert (quiet.ready, quiet.remaining, quiet.observation) == (False, 30, Observation("a", 100))


def test_the_same_fingerprint_a_quiet_time_later_is_ready() -> None:
    quiet = observe(Observation("a", 100.0), "a", now=130.0, quiet_seconds=30)

    assert (quiet.ready, quiet.observation.since) == (True, 100.0)


def test_the_remaining_time_is_told() -> None:
    assert observe(Observation("a", 100.0), "a", now=110.0, quiet_seconds=30).remaining == 20


def test_a_change_starts_the_time_anew() -> None:
    quiet = observe(Observation("a", 100.0), "b", now=130.0, quiet_seconds=30)

    assert quiet.observation == Observation("b", 130.0)


def test_a_clock_set_back_starts_the_time_anew() -> None:
    assert observe(Observation("a", 100.0), "a", now=50.0, quiet_seconds=30).remaining == 30


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [
        ("ext4", 0.3),
        ("tmpfs", 0.3),
        ("nfs4", 30),
        ("beegfs", 30),
        ("lustre", 30),
        ("fuse.sshfs", 30),
        ("ceph", 30),
        ("gpfs", 30),
    ],
)
def test_shared_filesystems_need_a_longer_quiet(tmp_path: Path, kind: str, seconds: float) -> None:
    mounts = tmp_path / "mounts"
    point = os.path.realpath(tmp_path / "data")
    mounts.write_text(f"/dev/a / ext4 rw 0 0\nserver {point} {kind} rw 0 0\n")

    assert scan.default_quiet_seconds(tmp_path / "data" / "runs", mounts) == seconds


def test_the_innermost_mount_counts(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("a / nfs rw 0 0\nb /data ext4 rw 0 0\nc /data\\040x nfs4 rw 0 0\n")

    assert scan.default_quiet_seconds(Path("/data/y"), mounts) == 0.3
    assert scan.default_quiet_seconds(Path("/data x/y"), mounts) == 30


def test_without_a_list_of_mounts_the_disk_counts_as_local(tmp_path: Path) -> None:
    assert scan.default_quiet_seconds(tmp_path, tmp_path / "none") == 0.3
