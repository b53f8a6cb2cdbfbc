"""The contract of the object store, on a directory, on an own S3 server and on a real one.

`AI_HOW_TEST_S3=http://host:port` adds a real server: the bucket `ai-how-test` must exist there and
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY must be set.
"""

import hashlib
import os
import uuid
from pathlib import Path

import pytest

from resources.errors import PermanentError, TransientError, UsageError
from resources.object_store.store import PART_BYTES, ObjectStore
from tests.doubles.s3_server import S3Server

REAL = os.environ.get("AI_HOW_TEST_S3")
BACKENDS = ["file", "own-s3", *(["real-s3"] if REAL else [])]


@pytest.fixture(params=BACKENDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "file":
        return ObjectStore((tmp_path / "a store").as_uri())
    if request.param == "real-s3":
        return ObjectStore(f"s3://ai-how-test/{uuid.uuid4().hex}", endpoint=REAL)
    server: S3Server = request.getfixturevalue("server")
    return ObjectStore("s3://bucket/some/prefix", endpoint=server.url)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(os.urandom(2 * PART_BYTES + 12_345))
    return path


def send(store: ObjectStore, name: str, source: Path, size: int | None = None) -> str:
    with source.open("rb") as file:
        return store.send(name, file.fileno(), source.stat().st_size if size is None else size)


def test_what_is_sent_has_the_hash_of_the_file(store: ObjectStore, source: Path) -> None:
    expected = hashlib.sha256(source.read_bytes()).hexdigest()

    assert send(store, "a/b.safetensors", source) == expected
    assert store.sha256("a/b.safetensors") == expected
    assert store.size("a/b.safetensors") == source.stat().st_size


def test_an_empty_file_can_be_sent(store: ObjectStore, source: Path) -> None:
    assert send(store, "a/empty", source, 0) == hashlib.sha256().hexdigest()
    assert store.size("a/empty") == 0


def test_sending_again_replaces_the_object(store: ObjectStore, source: Path) -> None:
    send(store, "a/b", source, 100)
    send(store, "a/b", source, 50)

    assert store.size("a/b") == 50


def test_a_file_that_ends_too_early_leaves_no_object(store: ObjectStore, source: Path) -> None:
    with pytest.raises(TransientError, match="ended at"):
        send(store, "a/b", source, source.stat().st_size + PART_BYTES)

    assert not store.exists("a/b")


def test_progress_adds_up_to_the_size(store: ObjectStore, source: Path) -> None:
    steps: list[int] = []
    with source.open("rb") as file:
        store.send("a/b", file.fileno(), source.stat().st_size, progress=steps.append)

    assert sum(steps) == source.stat().st_size
    assert len(steps) == 3


def test_a_small_object_comes_back(store: ObjectStore) -> None:
    store.write("checkpoints/m.r..x.1/manifest.json", b"{}")

    assert store.read("checkpoints/m.r..x.1/manifest.json") == b"{}"


def test_what_is_not_there_is_none(store: ObjectStore) -> None:
    assert store.read("nothing") is None
    assert store.size("nothing") is None
    assert store.sha256("nothing") is None
    assert store.list("nothing/") == {}


def test_only_what_is_below_the_prefix_is_listed(store: ObjectStore) -> None:
    for name in ("a/1", "a/b/2", "ab/3", "c"):
        store.write(name, b"four")

    assert store.list("a/") == {"a/1": 4, "a/b/2": 4}


def test_a_prefix_is_deleted_and_its_neighbour_stays(store: ObjectStore) -> None:
    for name in ("a/1", "a/b/2", "ab/3"):
        store.write(name, b"four")

    store.delete_prefix("a/")
    store.delete_prefix("a/")

    assert store.list("a/") == {}
    assert store.exists("ab/3")


def test_the_whole_store_is_never_deleted(store: ObjectStore) -> None:
    with pytest.raises(UsageError):
        store.delete_prefix("/")


@pytest.mark.parametrize("name", ["../x", "a/../../x", "a//b", "a\nb", "a/x#1"])
def test_a_name_that_leaves_the_store_is_refused(tmp_path: Path, name: str) -> None:
    store = ObjectStore((tmp_path / "store").as_uri())

    with pytest.raises((PermanentError, TransientError)):
        store.write(name, b"")


def test_files_are_fetched_and_verified(store: ObjectStore, tmp_path: Path) -> None:
    store.write("p/one", b"1")
    store.write("p/two", b"2")
    wanted = {
        name: hashlib.sha256(text).hexdigest() for name, text in (("one", b"1"), ("two", b"2"))
    }

    store.fetch("p/", tmp_path / "copy", wanted)
    store.fetch("p/", tmp_path / "copy", wanted)

    assert sorted(os.listdir(tmp_path / "copy")) == ["one", "two"]
    assert (tmp_path / "copy" / "two").read_bytes() == b"2"


def test_a_fetched_file_with_other_bytes_is_refused(store: ObjectStore, tmp_path: Path) -> None:
    store.write("p/one", b"changed")

    with pytest.raises(PermanentError, match="p/one"):
        store.fetch("p/", tmp_path / "copy", {"one": hashlib.sha256(b"1").hexdigest()})

    assert os.listdir(tmp_path / "copy") == []


def test_a_fetched_file_that_is_missing_is_named(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="p/gone"):
        store.fetch("p/", tmp_path / "copy", {"gone": "0" * 64})


def test_a_damaged_copy_is_fetched_again(store: ObjectStore, tmp_path: Path) -> None:
    store.write("p/one", b"1")
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "one").write_bytes(b"damaged")

    store.fetch("p/", tmp_path / "copy", {"one": hashlib.sha256(b"1").hexdigest()})

    assert (tmp_path / "copy" / "one").read_bytes() == b"1"


def test_only_a_directory_store_has_a_local_directory(store: ObjectStore) -> None:
    local = store.local_directory("a/b/")

    assert (local is None) == (not store.url("").startswith("file:"))


def test_the_local_directory_is_where_the_objects_are(tmp_path: Path) -> None:
    store = ObjectStore((tmp_path / "a store").as_uri())
    store.write("a/b/c", b"x")

    directory = store.local_directory("a/b/")

    assert directory is not None
    assert (directory / "c").read_bytes() == b"x"
    assert store.url("a/b/").endswith("/a%20store/a/b/")


def test_left_overs_of_killed_transfers_are_removed(tmp_path: Path) -> None:
    store = ObjectStore((tmp_path / "store").as_uri())
    store.write("a/b", b"x")
    (tmp_path / "store" / "a" / "b#1").touch()

    store.discard_partial("a/")

    assert os.listdir(tmp_path / "store" / "a") == ["b"]


@pytest.mark.parametrize("url", ["", "/tmp/x", "http://x/y", "s3://", "s3:///key", "file://"])
def test_another_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="neither"):
        ObjectStore(url)
