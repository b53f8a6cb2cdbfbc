"""A database that is away or is none; the real one is on the testbed."""

import pytest

from resources.errors import TransientError
from resources.ports import free_ports
from resources.postgresql import Database
from tests.resources.raw_server import raw_server


def at(port: int) -> Database:
    return Database("127.0.0.1", port, "mlflow", "mlflow", "the-password")


def test_a_server_that_is_away_may_be_tried_again() -> None:
    with pytest.raises(TransientError, match="Connection refused") as caught:
        at(free_ports(1)[0]).query("SELECT 1")
    assert "the-password" not in str(caught.value)


def test_what_closes_the_connection_may_be_tried_again() -> None:
    with raw_server(lambda connection, _: None) as url, pytest.raises(TransientError):
        at(int(url.rpartition(":")[2])).query("SELECT 1")


def test_the_password_is_not_shown() -> None:
    assert "the-password" not in repr(at(1))
