"""The contract of the object store, on a directory, on an own S3 server and on a real one.

`AI_HOW_TEST_S3=http://host:port` adds a real server: the bucket `ai-how-test` must exist there and
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY must be set.
"""

import hashlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from resources.errors import PermanentError, TransientError, UsageError
from resources.object_store import PART_BYTES, ObjectStore
from tests.doubles import children
from tests.doubles.s3_server import S3Server

REAL = os.environ.get("AI_HOW_TEST_S3")
BACKENDS = ["file", "own-s3", *(["real-s3"] if REAL else [])]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    with S3Server("bucket") as running:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        yield running


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


def test_a_server_that_does_not_answer_may_be_tried_again(
    server: S3Server, unused_url: str
) -> None:
    store = ObjectStore("s3://bucket", endpoint=unused_url, retries=0)

    with pytest.raises(TransientError, match="no answer") as raised:
        store.write("a", b"x")

    assert "endpoint" in str(raised.value.hint)


@pytest.fixture
def unused_url() -> Iterator[str]:
    """An address that is bound and does not listen, so that every connection is refused."""
    import socket

    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def test_a_missing_bucket_is_lasting_and_named(server: S3Server, source: Path) -> None:
    store = ObjectStore("s3://elsewhere", endpoint=server.url)

    with pytest.raises(PermanentError, match="no such bucket"):
        store.write("a", b"x")
    with pytest.raises(PermanentError, match="no such bucket"):
        store.read("a")
    with pytest.raises(PermanentError, match="no such bucket"):
        store.list("a")
    with pytest.raises(PermanentError, match="no such bucket"):
        send(store, "a", source)


def test_missing_credentials_are_told_before_anything_is_asked(
    server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")

    with pytest.raises(PermanentError, match="no credentials"):
        ObjectStore("s3://bucket", endpoint=server.url).write("a", b"x")


def test_denied_access_is_lasting(server: S3Server) -> None:
    server.answer_all_with(403, "AccessDenied")

    with pytest.raises(PermanentError, match="access denied"):
        ObjectStore("s3://bucket", endpoint=server.url).write("a", b"x")


def test_a_server_in_trouble_may_be_tried_again(server: S3Server) -> None:
    server.answer_all_with(503, "SlowDown")

    with pytest.raises(TransientError):
        ObjectStore("s3://bucket", endpoint=server.url, retries=0).write("a", b"x")


def test_bytes_damaged_on_the_way_are_noticed(server: S3Server, source: Path) -> None:
    server.damage_uploads = True

    with pytest.raises(TransientError, match="damaged"):
        send(ObjectStore("s3://bucket", endpoint=server.url, retries=0), "a", source)


FILL = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10 << 20, 10 << 20))
store = ObjectStore(Path(sys.argv[1]).as_uri())
source = open(sys.argv[2], "rb")
try:
    store.send("a/b", source.fileno(), os.fstat(source.fileno()).st_size)
except PermanentError as error:
    print(error.reason, error.hint, store.list(""), os.listdir(store.root / "a"), sep="|")
"""


@pytest.mark.real
def test_a_full_store_is_lasting_and_leaves_nothing_half(tmp_path: Path, source: Path) -> None:
    reason, hint, listed, present = children.run(FILL, tmp_path / "store", source).split("|")

    assert reason == "the file is larger than allowed"
    assert hint
    assert (listed, present) == ("{}", "[]")


WRITE = """
try:
    ObjectStore(Path(sys.argv[1]).as_uri()).write("a/b", b"x")
except PermanentError as error:
    print(error, error.hint, sep="|")
"""


@pytest.mark.real
@pytest.mark.parametrize("where", ["store", "store/below"])
def test_a_read_only_store_is_lasting_and_says_whose_right_is_missing(where: str) -> None:
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        (Path(name) / "store").mkdir(mode=0o555)
        message, hint = children.run(WRITE, Path(name) / where, lowered=True).split("|")

    assert "permission denied" in message
    assert "write there" in hint


def test_a_file_in_place_of_the_store_is_told(tmp_path: Path) -> None:
    (tmp_path / "store").touch()

    with pytest.raises(PermanentError, match="a file stands where a directory is needed"):
        ObjectStore((tmp_path / "store").as_uri()).write("a", b"x")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux only")
def test_no_space_left_is_told_as_such() -> None:
    from resources.object_store_errors import translated

    with (
        pytest.raises(PermanentError, match="the disk is full"),
        translated("the store", "write"),
        open("/dev/full", "wb", buffering=0) as full,
    ):
        full.write(b"x")
