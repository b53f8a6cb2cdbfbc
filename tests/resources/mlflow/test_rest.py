"""The one quick question, against the real server and against what is none."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from resources.errors import TransientError
from resources.mlflow import Registration, Registry
from resources.mlflow.rest import alias_target
from resources.ports import free_ports

Wanted = Callable[..., Registration]


@pytest.mark.real
def test_an_alias_names_the_key_of_its_checkpoint(
    registry: Registry, mlflow_url: str, wanted: Wanted
) -> None:
    version, _ = registry.register(wanted())
    registry.set_alias(version, "champion")
    assert alias_target(mlflow_url, version.model, "champion") == (wanted().key, version.number)


@pytest.mark.real
def test_an_alias_that_was_never_set_names_nothing(
    registry: Registry, mlflow_url: str, wanted: Wanted
) -> None:
    registry.register(wanted())
    assert alias_target(mlflow_url, wanted().model, "champion") is None


@pytest.mark.real
def test_an_alias_of_an_unknown_model_names_nothing(mlflow_url: str, model: str) -> None:
    assert alias_target(mlflow_url, model, "champion") is None


def test_a_server_that_is_down_may_be_asked_again() -> None:
    with pytest.raises(TransientError):
        alias_target(f"http://127.0.0.1:{free_ports(1)[0]}", "model", "champion")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>"),
        (200, b"[]"),
        (404, b"<html>not found</html>"),
        (500, b'{"error_code": "INTERNAL_ERROR", "message": "database is locked"}'),
        (503, b"{}"),
    ],
)
def test_any_other_answer_is_not_taken_for_no_champion(status: int, body: bytes) -> None:
    with _answering(status, body) as url, pytest.raises(TransientError):
        alias_target(url, "model", "champion")


@pytest.mark.parametrize(("status", "body"), [(200, b"<html>"), (404, b"<html>"), (500, b"")])
def test_the_registry_does_not_take_it_for_no_champion_either(status: int, body: bytes) -> None:
    with _answering(status, body) as url, pytest.raises(TransientError):
        Registry(url).alias("model", "champion")


@contextmanager
def _answering(status: int, body: bytes) -> Iterator[str]:
    """A server that gives every request the same answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
