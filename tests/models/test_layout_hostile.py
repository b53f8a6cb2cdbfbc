"""Directories that no trainer writes, that vanish, and that another user owns."""

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cloud_assets.models.layout import State, inspect
from tests.doubles import children
from tests.doubles.checkpoints import Checkpoints, add, link, point_shard

Change = Callable[[Path], object]


@pytest.mark.parametrize(
    "target",
    [
        "../../x.safetensors",
        "/etc/x.safetensors",
        "a/b.safetensors",
        "a\0.safetensors",
        "x.bin",
        "..",
        "a\n.safetensors",
        ".hidden.safetensors",
        7,
        None,
    ],
)
def test_an_index_that_names_anything_but_plain_files_is_refused(
    checkpoints: Checkpoints, target: str
) -> None:
    path = checkpoints.sharded()
    point_shard(target)(path)
    (path / "trainer_state.json").unlink()

    found = inspect(path)

    assert found.state == State.REFUSED
    assert found.reason.startswith("model.safetensors.index.json names the file")
    assert found.reason.isprintable()


def fifo(path: Path) -> None:
    os.mkfifo(path / "model-extra.safetensors")


def setuid(path: Path) -> None:
    (path / "model.safetensors").chmod(0o4644)


def deep(path: Path) -> None:
    (path / "/".join("abcdefgh")).mkdir(parents=True)


def many(path: Path) -> None:
    (path / "logs").mkdir()
    for number in range(10_001):
        (path / "logs" / str(number)).touch()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (link("model-b.safetensors", "/etc/passwd"), "a link that leads out of the run's"),
        (link("b", "../../../elsewhere"), "a link that leads out of the run's"),
        (link("b", "nowhere"), "a link that leads nowhere"),
        (link("b", "b"), "a link that leads nowhere"),
        (link("up", "../../.."), "a link that leads out of the run's"),
        (fifo, "is neither a file nor a directory"),
        (setuid, "has a setuid or setgid bit"),
        (deep, "lies deeper than 6 levels"),
        (many, "there are more than 10,000 files"),
        (lambda path: os.truncate(path / "optimizer.pt", 2**43), "bytes in total"),
        (add("config.json", b'{"auto_map": {"AutoModel": "m.M"}}'), "config.json asks for code"),
        (add("tokenizer_config.json", b'{"auto_map": {}}'), "tokenizer_config.json asks for code"),
    ],
    ids=[
        "link to passwd",
        "link up",
        "dangling",
        "loop",
        "directory link",
        "pipe",
        "setuid",
        "deep",
        "many",
        "huge",
        "auto_map",
        "tokenizer code",
    ],
)
def test_what_no_trainer_writes_is_refused_before_the_save_ends(
    checkpoints: Checkpoints, change: Change, reason: str
) -> None:
    path = checkpoints.hf()
    (path / "trainer_state.json").unlink()
    change(path)

    found = inspect(path)

    assert found.state == State.REFUSED
    assert reason in found.reason


def test_a_pickle_is_refused_and_named(checkpoints: Checkpoints) -> None:
    found = inspect(checkpoints.pickle_only())

    assert found.state == State.REFUSED
    assert found.reason == "weights are only there as a pickle: pytorch_model.bin"


def test_a_link_within_the_run_is_followed(checkpoints: Checkpoints) -> None:
    path = checkpoints.hf()
    (path / "tokenizer.json").rename(path.parent / "tokenizer.json")
    (path / "tokenizer.json").symlink_to("../tokenizer.json")

    found = inspect(path)

    assert found.state == State.COMPLETE
    assert next(file.size for file in found.files if file.name == "tokenizer.json") == 18


def test_a_checkpoint_directory_that_is_a_link_is_refused(checkpoints: Checkpoints) -> None:
    path = checkpoints.hf()
    other = path.parent / "checkpoint-200"
    other.symlink_to(path)

    found = inspect(other)

    assert found.state == State.REFUSED


def test_a_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint-1"
    path.touch()

    found = inspect(path)

    assert found.state == State.REFUSED


def test_a_directory_that_is_not_there_is_gone(tmp_path: Path) -> None:
    assert inspect(tmp_path / "checkpoint-1").state == State.GONE


def test_rotation_under_the_inspection_never_raises(checkpoints: Checkpoints) -> None:
    states = set()
    for step in range(30):
        path = checkpoints.sharded(step=step, shards=20)
        rotation = threading.Thread(target=shutil.rmtree, args=(path,))
        rotation.start()
        while rotation.is_alive():
            states.add(inspect(path).state)
        rotation.join()
        states.add(inspect(path).state)

    assert State.GONE in states


def test_the_fingerprint_changes_with_any_file(checkpoints: Checkpoints) -> None:
    path = checkpoints.hf()
    before = inspect(path).fingerprint
    (path / "rng_state_1.pth").write_bytes(b"late")

    assert inspect(path).fingerprint != before


def test_the_fingerprint_changes_when_rewritten_in_place(checkpoints: Checkpoints) -> None:
    path = checkpoints.hf()
    before = inspect(path).fingerprint
    content = (path / "model.safetensors").read_bytes()
    os.utime(path / "model.safetensors", ns=(1, 1))
    (path / "model.safetensors").write_bytes(content)

    assert inspect(path).fingerprint != before


def test_an_inspection_leaves_the_directory_as_it_was(checkpoints: Checkpoints) -> None:
    path = checkpoints.sharded()
    before = (path.stat().st_mtime_ns, sorted(os.listdir(path)))

    inspect(path)

    assert (path.stat().st_mtime_ns, sorted(os.listdir(path))) == before


def test_names_that_are_not_text_do_not_break_it(checkpoints: Checkpoints) -> None:
    path = checkpoints.hf()
    (path / os.fsdecode(b"\xff\xfe\n")).touch()

    assert inspect(path).state == State.COMPLETE


REASON = "found = inspect(Path(sys.argv[1])); print(found.state, found.reason, found.fix, sep='|')"


@pytest.mark.real
def test_weights_of_another_user_are_waited_for_with_the_fix(open_path: Path) -> None:
    path = Checkpoints(open_path / "root").hf()
    (path / "model.safetensors").chmod(0o600 if os.geteuid() == 0 else 0)
    mode = "0600" if os.geteuid() == 0 else "0000"

    state, reason, fix = children.run(REASON, path, lowered=True).split("|")

    assert state == "waiting"
    assert reason == (
        f"weights are unreadable: model.safetensors has mode {mode} of user {os.geteuid()}"
    )
    assert "chmod" in fix


@pytest.mark.real
def test_a_directory_of_another_user_is_waited_for(open_path: Path) -> None:
    path = Checkpoints(open_path / "root").hf()
    path.chmod(0o700 if os.geteuid() == 0 else 0)
    try:
        state, reason, _ = children.run(REASON, path, lowered=True).split("|")
    finally:
        path.chmod(0o700)

    assert (state, reason) == ("waiting", "the directory checkpoint-100 is unreadable")
