"""Publishing that is killed, full or rotated away in the middle."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from cloud_assets.documents import Manifest
from cloud_assets.identity import CheckpointKey, StorePaths
from cloud_assets.models.layout import inspect
from cloud_assets.models.transfer import Transferred, publish, read_manifest, verify
from resources.errors import PermanentError, TransientError
from resources.object_store import ObjectStore
from tests.doubles import children
from tests.doubles.checkpoints import Checkpoints

KEY = CheckpointKey("qa", "run", 100)
PATHS = StorePaths(str(KEY))


def published(path: Path, store: ObjectStore) -> tuple[Manifest, Transferred]:
    return publish(inspect(path), KEY, store=store)


# Stops for ever once the second shard is half sent; the parent kills it there.
STALL = """
import time
path, store, half = Path(sys.argv[1]), ObjectStore(Path(sys.argv[2]).as_uri()), int(sys.argv[3])
def progress(done, total):
    if done >= half:
        print("half", flush=True)
        time.sleep(600)
publish(inspect(path), CheckpointKey("qa", "run", 100), store=store, progress=progress)
"""


@pytest.mark.real
def test_a_killed_transfer_goes_on_with_the_rest(
    checkpoints: Checkpoints, store: ObjectStore
) -> None:
    path = checkpoints.sharded(shards=3)
    found = inspect(path)
    sizes = [file.size for file in found.files]
    third = sum(sizes[:3])
    assert store.root is not None
    with subprocess.Popen(
        children.command(STALL, path, store.root, third),
        cwd=children.REPOSITORY,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"half\n"
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert read_manifest(store, str(KEY)) is None

    manifest, done = publish(found, KEY, store=store)

    assert (done.sent_files, done.skipped_files) == (len(sizes) - 2, 2)
    assert done.sent_bytes == sum(sizes[2:])
    assert verify(manifest, store) == []
    assert set(store.list("checkpoints/")) == {
        PATHS.manifest,
        PATHS.record(manifest.fingerprint),
        *(manifest.prefix + file.name for file in manifest.files),
    }
    assert [path for path in store.root.rglob("*") if "#" in path.name] == []


@pytest.mark.real
def test_kills_at_any_moment_end_in_the_same_manifest(
    checkpoints: Checkpoints, store: ObjectStore
) -> None:
    path = checkpoints.hf(size=20_000_000)
    assert store.root is not None
    code = """
print("go", flush=True)
store = ObjectStore(Path(sys.argv[2]).as_uri())
publish(inspect(Path(sys.argv[1])), CheckpointKey("qa", "run", 100), store=store)
"""
    for milliseconds in (1, 5, 10, 20, 40, 60):
        with subprocess.Popen(
            children.command(code, path, store.root),
            cwd=children.REPOSITORY,
            stdout=subprocess.PIPE,
        ) as child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(milliseconds / 1000)
            child.kill()

    manifest, _ = published(path, store)

    assert verify(manifest, store) == []
    assert set(store.list("checkpoints/")) == {
        PATHS.manifest,
        PATHS.record(manifest.fingerprint),
        *(manifest.prefix + file.name for file in manifest.files),
    }


FULL = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
store = ObjectStore(Path(sys.argv[2]).as_uri())
try:
    publish(inspect(Path(sys.argv[1])), CheckpointKey("qa", "run", 100), store=store)
except PermanentError as error:
    print(error.hint, store.exists("checkpoints/qa.run.100/manifest.json"), sep="|")
"""


@pytest.mark.real
def test_a_full_store_publishes_nothing_and_goes_on_when_there_is_room(
    checkpoints: Checkpoints, store: ObjectStore
) -> None:
    path = checkpoints.hf(size=1_000_000)
    assert store.root is not None

    hint, manifest_there = children.run(FULL, path, store.root).split("|")
    _, done = published(path, store)

    assert hint
    assert manifest_there == "False"
    assert (done.sent_files, done.skipped_files) == (3, 2)


def test_a_store_that_is_a_file_is_lasting(checkpoints: Checkpoints, tmp_path: Path) -> None:
    (tmp_path / "store").touch()

    with pytest.raises(PermanentError):
        published(checkpoints.hf(), ObjectStore((tmp_path / "store").as_uri()))


def test_rotation_under_the_transfer_never_publishes_half(
    checkpoints: Checkpoints, store: ObjectStore
) -> None:
    path = checkpoints.sharded(shards=5)
    found = inspect(path)
    steps = iter(sorted(path.iterdir()))

    with pytest.raises(TransientError):
        publish(found, KEY, store=store, progress=lambda *_: next(steps).unlink())

    assert store.list("checkpoints/") == {}
