"""The watch over roots: what is new, ready, waiting; what a look costs; what restarts lose."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cloud_assets.models.layout import State
from cloud_assets.models.watch import Look, Watch, waiting_for
from cloud_assets.settings import Root
from resources.errors import PermanentError, TransientError
from tests.doubles.checkpoints import Checkpoints

NOW = 2_000_000_000.0


@pytest.fixture(autouse=True)
def _root(checkpoints: Checkpoints) -> None:
    checkpoints.root.mkdir()


def watching(checkpoints: Checkpoints, *, quiet: float = 0.0, known: tuple[str, ...] = ()) -> Watch:
    roots = [Root(path=checkpoints.root, model="qa")]
    return Watch(roots, quiet, known=dict.fromkeys(known))


def ready(look: Look) -> list[str]:
    return [sighting.key for sighting in look.ready]


def request_all(watch: Watch, now: float) -> list[str]:
    look = watch.look(now)
    for sighting in look.ready:
        watch.requested(sighting)
    return ready(look)


@contextmanager
def counted(name: str) -> Iterator[Counter[str]]:
    """How often `os.<name>` is called in the block."""
    calls: Counter[str] = Counter()
    real: Callable[..., object] = getattr(os, name)

    def call(*args: object, **kwargs: object) -> object:
        calls[name] += 1
        return real(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, name, call)
        yield calls


def test_a_complete_checkpoint_is_ready(checkpoints: Checkpoints) -> None:
    checkpoints.hf(step=100)
    assert ready(watching(checkpoints).look(NOW)) == ["qa.run.100"]


def test_it_must_not_change_for_a_while_first(checkpoints: Checkpoints) -> None:
    checkpoints.hf(step=100)
    watch = watching(checkpoints, quiet=30)
    assert [ready(watch.look(NOW + after)) for after in (0, 29, 31)] == [[], [], ["qa.run.100"]]


def test_a_change_starts_the_wait_anew(checkpoints: Checkpoints) -> None:
    path = checkpoints.hf(step=100)
    watch = watching(checkpoints, quiet=30)
    watch.look(NOW)
    (path / "README.md").write_text("one file more")
    assert [ready(watch.look(NOW + after)) for after in (25, 50, 60)] == [[], [], ["qa.run.100"]]


def test_what_is_half_written_waits_and_says_for_what(checkpoints: Checkpoints) -> None:
    path = checkpoints.hf(step=100)
    (path / "trainer_state.json").unlink()
    look = watching(checkpoints).look(NOW)
    assert ready(look) == []
    assert waiting_for(look) == {
        "qa.run.100": "trainer_state.json is missing: the save has not ended"
    }


def test_it_is_ready_once_the_last_file_is_there(checkpoints: Checkpoints) -> None:
    path = checkpoints.hf(step=100)
    last = path / "trainer_state.json"
    content = last.read_bytes()
    last.unlink()
    watch = watching(checkpoints)
    watch.look(NOW)
    last.write_bytes(content)
    assert ready(watch.look(NOW + 20)) == ["qa.run.100"]


def test_a_refused_checkpoint_is_asked_for_too(checkpoints: Checkpoints) -> None:
    checkpoints.pickle_only(step=100)
    [sighting] = watching(checkpoints).look(NOW).ready
    assert sighting.inspection.state is State.REFUSED


def test_checkpoints_come_in_the_order_in_which_they_were_written(checkpoints: Checkpoints) -> None:
    for age, step in enumerate((300, 100, 200)):
        for file in checkpoints.hf(step=step).iterdir():
            os.utime(file, (NOW - 1000 - age, NOW - 1000 - age))
    assert ready(watching(checkpoints).look(NOW)) == ["qa.run.200", "qa.run.100", "qa.run.300"]


def test_what_was_requested_is_not_ready_again(checkpoints: Checkpoints) -> None:
    checkpoints.hf(step=100)
    watch = watching(checkpoints)
    assert [request_all(watch, NOW + after) for after in (0, 10)] == [["qa.run.100"], []]


def test_what_is_forgotten_is_ready_again(checkpoints: Checkpoints) -> None:
    checkpoints.hf(step=100)
    watch = watching(checkpoints)
    request_all(watch, NOW)
    watch.forget(["qa.run.100"])
    assert request_all(watch, NOW + 10) == ["qa.run.100"]


def test_a_watch_that_lost_its_memory_asks_for_nothing_twice(checkpoints: Checkpoints) -> None:
    checkpoints.hf(step=100)
    checkpoints.hf(step=200)
    assert ready(watching(checkpoints, known=("qa.run.100",)).look(NOW)) == ["qa.run.200"]


def test_a_rewritten_checkpoint_is_ready_again(checkpoints: Checkpoints) -> None:
    path = checkpoints.hf(step=100)
    watch = watching(checkpoints)
    [before] = watch.look(NOW).ready
    watch.requested(before)
    (path / "README.md").write_text("trained anew")
    watch.revisit(1)
    [after] = watch.look(NOW + 10).ready
    assert after.key == before.key
    assert after.inspection.fingerprint != before.inspection.fingerprint


def test_an_untouched_checkpoint_is_not(checkpoints: Checkpoints) -> None:
    checkpoints.hf(step=100)
    watch = watching(checkpoints)
    request_all(watch, NOW)
    watch.revisit(10)
    assert ready(watch.look(NOW + 10)) == []


def test_what_was_rewritten_while_nobody_watched_is_ready(checkpoints: Checkpoints) -> None:
    checkpoints.hf(step=100)
    watch = watching(checkpoints, known=("qa.run.100",))
    watch.recorded = lambda key: "the fingerprint of before"
    watch.look(NOW)
    watch.revisit(1)
    assert ready(watch.look(NOW + 10)) == ["qa.run.100"]


def test_what_was_rotated_away_is_not_waited_for(checkpoints: Checkpoints) -> None:
    path = checkpoints.hf(step=100)
    watch = watching(checkpoints, quiet=30)
    watch.look(NOW)
    shutil.rmtree(path)
    look = watch.look(NOW + 60)
    assert (look.ready, look.waiting) == ((), ())


def test_a_run_that_vanished_is_not_waited_for(checkpoints: Checkpoints) -> None:
    path = checkpoints.hf(step=100)
    watch = watching(checkpoints, quiet=30)
    watch.look(NOW)
    shutil.rmtree(path.parent)
    look = watch.look(NOW + 60)
    assert (look.ready, look.waiting) == ((), ())


def test_a_requested_one_that_is_rotated_away_is_looked_at_no_more(
    checkpoints: Checkpoints,
) -> None:
    path = checkpoints.hf(step=100)
    watch = watching(checkpoints)
    request_all(watch, NOW)
    shutil.rmtree(path)
    watch.revisit(1)
    with counted("scandir") as calls:
        watch.revisit(1)
    assert calls["scandir"] == 0


def test_a_renamed_run_is_another_checkpoint(checkpoints: Checkpoints) -> None:
    path = checkpoints.hf(step=100)
    watch = watching(checkpoints)
    request_all(watch, NOW)
    path.parent.rename(checkpoints.root / "later")
    assert ready(watch.look(NOW + 10)) == ["qa.later.100"]


def test_a_step_that_comes_back_after_rotation_is_compared(checkpoints: Checkpoints) -> None:
    path = checkpoints.hf(step=100)
    watch = watching(checkpoints)
    request_all(watch, NOW)
    shutil.rmtree(path)
    watch.look(NOW + 10)
    checkpoints.hf(step=100, size=128)
    watch.look(NOW + 20)
    watch.revisit(5)
    assert ready(watch.look(NOW + 30)) == ["qa.run.100"]


HOSTILE = ["a b", "x,y", "line\nbreak", "\udcff", "ü", "r" * 200, "'; drop table", "<b>"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_of_a_run_is_told_and_does_no_harm(
    checkpoints: Checkpoints, name: str
) -> None:
    checkpoints.hf(run="good", step=1)
    checkpoints.hf(run=name, step=1)
    look = watching(checkpoints).look(NOW)
    assert ready(look) == ["qa.good.1"]
    [(told, reason)] = waiting_for(look).items()
    assert f"{told}: {reason}".encode().isascii() or name == "ü"
    assert "\n" not in told + reason
    assert "makes no key" in reason


@pytest.mark.parametrize(
    "name", ["checkpoint-1 ", "checkpoint-01", "checkpoint-x", "checkpoint-1\n"]
)
def test_a_hostile_name_of_a_checkpoint_is_told(checkpoints: Checkpoints, name: str) -> None:
    (checkpoints.root / "run" / name).mkdir(parents=True)
    [(told, reason)] = waiting_for(watching(checkpoints).look(NOW)).items()
    assert told.startswith("root/run/checkpoint-")
    assert "is not named checkpoint-N" in reason


def test_a_link_is_no_checkpoint(checkpoints: Checkpoints, tmp_path: Path) -> None:
    outside = Checkpoints(tmp_path / "outside").hf(step=100)
    run = checkpoints.root / "run"
    run.mkdir()
    (run / "checkpoint-100").symlink_to(outside)
    look = watching(checkpoints).look(NOW)
    assert (look.ready, look.waiting, look.unnamed) == ((), (), ())


def test_a_missing_root_is_told(checkpoints: Checkpoints) -> None:
    checkpoints.root.rmdir()
    [error] = watching(checkpoints).look(NOW).unlisted
    assert isinstance(error, TransientError)
    assert "there is no such directory" in str(error)


def test_a_root_that_is_a_file_is_told(checkpoints: Checkpoints) -> None:
    checkpoints.root.rmdir()
    checkpoints.root.write_text("")
    [error] = watching(checkpoints).look(NOW).unlisted
    assert isinstance(error, PermanentError)


def test_a_missing_root_does_not_hide_the_others(checkpoints: Checkpoints, tmp_path: Path) -> None:
    checkpoints.hf(step=100)
    roots = [Root(path=tmp_path / "away", model="a"), Root(path=checkpoints.root, model="qa")]
    look = Watch(roots, 0.0, known={}).look(NOW)
    assert (ready(look), len(look.unlisted)) == (["qa.run.100"], 1)


@pytest.mark.parametrize("name", ["scandir", "stat"])
def test_a_look_at_ten_thousand_known_ones_costs_the_same_as_at_ten(
    checkpoints: Checkpoints, name: str
) -> None:
    costs = []
    for run, count in (("few", 10), ("many", 10_000)):
        watch = _all_known(checkpoints, run, count)
        with counted(name) as calls:
            watch.look(NOW + 10)
        costs.append(calls[name])
        shutil.rmtree(checkpoints.root / run)
    assert costs[0] == costs[1] <= 1


def _all_known(checkpoints: Checkpoints, run: str, count: int) -> Watch:
    """A watch that has seen `count` checkpoints, all of them requested before it began."""
    directory = checkpoints.root / run
    for step in range(count):
        (directory / f"checkpoint-{step}").mkdir(parents=True)
    os.utime(directory, (NOW - 100, NOW - 100))
    known = tuple(f"qa.{run}.{step}" for step in range(count))
    watch = watching(checkpoints, known=known)
    assert watch.look(NOW).ready == ()
    return watch


def test_forgetting_again_and_again_does_not_grow(checkpoints: Checkpoints) -> None:
    watch = _all_known(checkpoints, "run", 10)
    for after in range(5):
        watch.forget(["qa.run.none"])
        watch.look(NOW + after)
    with counted("open") as calls:
        watch.revisit(1000)
    assert calls["open"] <= 10
