"""What was on before a start of the system, as the next attempt finds it."""

from pathlib import Path

import pytest

from cloud_assets.machines.power import before
from resources.errors import NeedsRepair

URI = "test:///default"


def test_where_nothing_was_begun_nothing_is_unfinished(tmp_path: Path) -> None:
    assert before.unfinished(tmp_path / "home", URI) is None


def test_the_first_attempt_is_remembered_whatever_the_second_finds(tmp_path: Path) -> None:
    before.remembered(tmp_path, before.now(URI, {"a": True, "b": False}))
    found = before.remembered(tmp_path, before.now(URI, {"a": True, "b": True}))
    assert (sorted(found.on), sorted(found.off)) == (["a"], ["b"])


def test_machines_that_the_file_has_had_since_count_as_they_are(tmp_path: Path) -> None:
    before.remembered(tmp_path, before.now(URI, {"a": False}))
    found = before.remembered(tmp_path, before.now(URI, {"a": True, "b": True, "c": False}))
    assert (sorted(found.on), sorted(found.off)) == (["b"], ["a", "c"])


def test_machines_of_another_hypervisor_are_others(tmp_path: Path) -> None:
    before.remembered(tmp_path, before.now("qemu:///system", {"a": False}))
    assert before.unfinished(tmp_path, URI) is None
    assert before.remembered(tmp_path, before.now(URI, {"a": True})).off == set()


def test_what_is_over_is_forgotten(tmp_path: Path) -> None:
    before.remembered(tmp_path, before.now(URI, {"a": False}))
    before.forget(tmp_path)
    before.forget(tmp_path)
    assert before.unfinished(tmp_path, URI) is None


def test_what_goes_on_is_told_from_what_was_killed(tmp_path: Path) -> None:
    with before.alone(tmp_path):
        before.remembered(tmp_path, before.now(URI, {"a": False}))
        found = before.unfinished(tmp_path, URI)
        assert found is not None
        assert found.is_under_way
    found = before.unfinished(tmp_path, URI)
    assert found is not None
    assert not found.is_under_way


def test_two_at_once_are_one_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(before, "_PATIENCE_SECONDS", 0.0)
    with (
        before.alone(tmp_path),
        pytest.raises(NeedsRepair, match="is under way"),
        before.alone(tmp_path),
    ):
        pytest.fail("both were let in")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"uri": "test:///default", "since": "", "on": 1}']
)
def test_a_file_that_somebody_spoilt_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "system-start.json").write_text(text)
    assert before.unfinished(tmp_path, URI) is None
