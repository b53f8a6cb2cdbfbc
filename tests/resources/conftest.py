"""Fixtures of the outside world: an S3 server of our own that verifies checksums."""

from collections.abc import Iterator

import pytest

from tests.doubles.s3_server import S3Server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    with S3Server("bucket") as running:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        yield running
