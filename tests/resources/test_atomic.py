"""A file is the old or the new one, never a half; a lock is held by one."""

import threading
from pathlib import Path

import pytest

from resources import atomic
from resources.errors import PermanentError, TransientError


def test_the_text_is_there(tmp_path: Path) -> None:
    atomic.replace(tmp_path / "f", "ü")
    assert (tmp_path / "f").read_text("utf-8") == "ü"


def test_the_file_is_private(tmp_path: Path) -> None:
    atomic.replace(tmp_path / "f", "x")
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o600


def test_a_failure_keeps_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    with pytest.raises(PermanentError, match="write"):
        atomic.replace(tmp_path / "f", "x")
    assert list(tmp_path.iterdir()) == [tmp_path / "f"]


def test_a_lock_excludes_others_until_it_is_left(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with (
        atomic.locked(path, timeout_seconds=1),
        pytest.raises(TransientError, match="another process"),
        atomic.locked(path, timeout_seconds=0.1),
    ):
        pass
    with atomic.locked(path, timeout_seconds=0.1):
        assert path.exists()


def test_a_lock_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    order: list[str] = []

    def second() -> None:
        with atomic.locked(path, timeout_seconds=60):
            order.append("second")

    with atomic.locked(path, timeout_seconds=1):
        thread = threading.Thread(target=second)
        thread.start()
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_lock_where_no_file_can_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(PermanentError, match="lock"),
        atomic.locked(tmp_path / "file" / "lock", timeout_seconds=1),
    ):
        pass
