"""What a server that is away, foreign or unwilling becomes; real servers are on the testbed."""

import socket
from collections.abc import Iterator

import pytest

from resources.buckets import Buckets
from resources.errors import NeedsRepair, PermanentError, TransientError
from resources.ports import free_ports
from tests.doubles.s3_server import S3Server
from tests.resources.raw_server import raw_server, read_request


@pytest.fixture
def server() -> Iterator[S3Server]:
    with S3Server("models") as running:
        yield running


@pytest.fixture
def buckets(server: S3Server) -> Buckets:
    return Buckets(server.url, "who", "the-secret-key")


def test_a_server_that_is_away_may_be_tried_again() -> None:
    away = Buckets(f"http://127.0.0.1:{free_ports(1)[0]}", "who", "the-secret-key")
    with pytest.raises(TransientError, match="no answer") as caught:
        away.existing()
    assert "the-secret-key" not in str(caught.value)


def test_what_answers_is_no_s3_server() -> None:
    def page(connection: socket.socket, number: int) -> None:
        read_request(connection)
        body = b"<html>welcome</html>"
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)

    with raw_server(page) as url, pytest.raises(NeedsRepair) as caught:
        Buckets(url, "who", "the-secret-key").existing()
    assert "no S3 server" in str(caught.value.hint)


@pytest.mark.parametrize("code", ["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"])
def test_keys_that_are_refused_need_somebody(server: S3Server, buckets: Buckets, code: str) -> None:
    server.answer_all_with(403, code)
    with pytest.raises(NeedsRepair, match=rf"it refuses the keys \({code}\)") as caught:
        buckets.put("models", "a", b"1")
    assert caught.value.hint == "check the keys in the Secret"


def test_a_bucket_that_is_gone_needs_somebody(server: S3Server, buckets: Buckets) -> None:
    server.answer_all_with(404, "NoSuchBucket")
    with pytest.raises(NeedsRepair, match="the bucket is not there"):
        buckets.get("models", "a")


def test_a_server_that_is_busy_may_be_tried_again(server: S3Server, buckets: Buckets) -> None:
    server.answer_all_with(429, "SlowDown")
    with pytest.raises(TransientError, match="SlowDown"):
        buckets.remove("models", "a")


def test_what_no_waiting_mends_is_final(server: S3Server, buckets: Buckets) -> None:
    server.answer_all_with(409, "BucketNotEmpty")
    with pytest.raises(PermanentError, match="BucketNotEmpty"):
        buckets.put("models", "a", b"1")


def test_a_name_that_no_bucket_can_have(buckets: Buckets) -> None:
    with pytest.raises(PermanentError, match="bucket name"):
        buckets.put("No Bucket", "a", b"1")


def test_bytes_come_back_and_go(buckets: Buckets) -> None:
    buckets.put("models", "folder/a", b"weights")
    assert buckets.get("models", "folder/a") == b"weights"
    assert buckets.names("models", "folder/") == ("folder/a",)
    for _ in range(2):
        buckets.remove("models", "folder/a")
    assert buckets.names("models", "folder/") == ()
