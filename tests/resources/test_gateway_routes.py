"""The routing table is whole at every moment and the last good one outlives a damaged file."""

import logging
import threading
from pathlib import Path

import pytest

from resources.errors import PermanentError
from resources.gateway import routes as gateway_routes
from resources.gateway.routes import WatchedTable
from resources.serving import Route

ONE = Route("m.r.1", "d", "http://127.0.0.1:1", "m")
TWO = Route("m.r.2", "e", "http://127.0.0.1:2", "m")
DAMAGED = ["", "{", "[]", "{}", '{"version": 2}', '{"version": 1, "endpoints": {"m": {}}}', "null"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway" / "routes.json"


def test_a_missing_file_is_an_empty_table(path: Path) -> None:
    assert gateway_routes.read(path) == {}


def test_the_table_is_read_back(path: Path) -> None:
    gateway_routes.put(path, "m", ONE)
    assert gateway_routes.read(path)["m"].route == ONE


def test_the_same_route_again_leaves_the_file_alone(path: Path) -> None:
    gateway_routes.put(path, "m", ONE)
    before = path.stat().st_ino
    gateway_routes.put(path, "m", ONE)
    assert path.stat().st_ino == before


def test_writers_at_once_lose_nothing(path: Path) -> None:
    threads = [
        threading.Thread(target=gateway_routes.put, args=(path, f"m{number}", ONE))
        for number in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(gateway_routes.read(path)) == 12


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_file_is_named(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(PermanentError, match="read its routes"):
        gateway_routes.read(path)


def test_a_damaged_file_is_not_written_over(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("{")
    with pytest.raises(PermanentError):
        gateway_routes.put(path, "m", ONE)
    assert path.read_text() == "{"


def test_a_change_is_seen_at_once(path: Path) -> None:
    table = WatchedTable(path)
    seen = [len(table.current())]
    for route in (ONE, TWO):
        gateway_routes.put(path, "m", route)
        seen.append(int(table.current()["m"].route.key[-1]))
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("text", DAMAGED)
def test_the_last_good_table_stays_when_the_file_is_damaged(
    path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    gateway_routes.put(path, "m", ONE)
    table = WatchedTable(path)
    table.current()
    path.write_text(text)
    with caplog.at_level(logging.ERROR):
        assert table.current()["m"].route == ONE
    assert "last good table" in caplog.text


def test_the_last_good_table_stays_when_the_file_is_gone(path: Path) -> None:
    gateway_routes.put(path, "m", ONE)
    table = WatchedTable(path)
    table.current()
    path.unlink()
    assert (table.current()["m"].route, "gone" in table.problem) == (ONE, True)


def test_a_mended_file_is_taken(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("{")
    table = WatchedTable(path)
    table.current()
    path.unlink()
    gateway_routes.put(path, "m", ONE)
    assert (table.current()["m"].route, table.problem) == (ONE, "")
