"""What the object store says when it cannot: what may be tried again, and who has to act."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from resources.errors import PermanentError, TransientError
from resources.object_store.errors import translated
from resources.object_store.store import PART_BYTES, ObjectStore
from tests.doubles import children
from tests.doubles.s3_server import S3Server


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(os.urandom(2 * PART_BYTES + 12_345))
    return path


def send(store: ObjectStore, name: str, source: Path) -> str:
    with source.open("rb") as file:
        return store.send(name, file.fileno(), source.stat().st_size)


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
    with (
        pytest.raises(PermanentError, match="the disk is full"),
        translated("the store", "write"),
        open("/dev/full", "wb", buffering=0) as full,
    ):
        full.write(b"x")
