"""Runs and versions by REST, against the real server and against what is none."""

import socket

import pytest

from resources.errors import PermanentError, TransientError
from resources.mlflow.records import Records, Run
from resources.ports import free_ports
from tests.resources.raw_server import raw_server, read_request


def test_a_server_that_is_down_may_be_asked_again() -> None:
    with pytest.raises(TransientError):
        Records(f"http://127.0.0.1:{free_ports(1)[0]}").start("any")


def test_what_answers_is_not_mlflow() -> None:
    def page(connection: socket.socket, number: int) -> None:
        read_request(connection)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nwelcome"
        connection.sendall(head)

    with raw_server(page) as url, pytest.raises(TransientError):
        Records(url).start("any")


@pytest.mark.real
def test_a_source_that_mlflow_refuses_is_final(mlflow_url: str, model: str) -> None:
    run = Records(mlflow_url).start(model)
    with pytest.raises(PermanentError, match="source"):
        Records(mlflow_url).register(model, Run(run.run_id, "https://elsewhere.example/x"))


@pytest.mark.real
def test_a_run_and_a_version_come_and_go(mlflow_url: str, model: str) -> None:
    records = Records(mlflow_url)
    first, second = records.start(model), records.start(model)
    assert first.run_id != second.run_id
    assert records.artifacts(first.run_id) == frozenset()
    numbers = [
        records.register(model, Run(each.run_id, "s3://bucket/a")) for each in (first, second)
    ]
    assert numbers == [1, 2]
    for _ in range(2):
        records.remove(model, 2, second)
    records.remove(model, None, first)
