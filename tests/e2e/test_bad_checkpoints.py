"""Checkpoints as clusters really leave them: each ends with its reason, and none disturbs another.

All are dropped at once into one platform.
"""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from examples import tiny_llama
from tests.doubles.checkpoints import json_file
from tests.doubles.embedded_platform import MODEL, EmbeddedPlatform

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

TEN = [f"{MODEL}.ten.{step}" for step in range(1, 11)]
WEIGHTS = "model.safetensors"


def _half_written(path: Path) -> None:
    (path / "trainer_state.json").unlink()


def _died_at_90_percent(path: Path) -> None:
    """The trainer was killed while it wrote the weights: all before them, nothing after."""
    content = (path / WEIGHTS).read_bytes()
    for name in ("trainer_state.json", "tokenizer.json", "optimizer.pt", WEIGHTS):
        (path / name).unlink()
    (path / ".tmpA1b2C3").write_bytes(content[: len(content) * 9 // 10])


def _truncated(path: Path) -> None:
    content = (path / WEIGHTS).read_bytes()
    (path / WEIGHTS).write_bytes(content[:-100])


def _lying(path: Path) -> None:
    """The header is said to be longer than the file."""
    content = (path / WEIGHTS).read_bytes()
    (path / WEIGHTS).write_bytes((2**62).to_bytes(8, "little") + content[8:])


def _missing_shard(path: Path) -> None:
    _index(path, "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def _index_leads_out(path: Path) -> None:
    _index(path, "model-00001-of-00001.safetensors", "../../x")


def _index(path: Path, first: str, second: str) -> None:
    """The weights become the first shard, and the index names a second."""
    (path / WEIGHTS).rename(path / first)
    weight_map = {"model.norm.weight": first, "more": second}
    json_file(path / "model.safetensors.index.json", {"metadata": {}, "weight_map": weight_map})


def _link_leads_out(path: Path) -> None:
    (path / "tokenizer.json").unlink()
    (path / "tokenizer.json").symlink_to("/etc/passwd")


def _pickle_only(path: Path) -> None:
    (path / WEIGHTS).unlink()
    (path / "pytorch_model.bin").write_bytes(pickle.dumps({}))


#: What is done to a whole checkpoint, and a word of the reason that must be given for it.
REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated": (_truncated, "model.safetensors"),
    "lying": (_lying, "model.safetensors"),
    "missing-shard": (_missing_shard, "model-00002-of-00002.safetensors"),
    "index-leads-out": (_index_leads_out, "../../x"),
    "link-leads-out": (_link_leads_out, "tokenizer.json"),
    "pickle-only": (_pickle_only, "pickle"),
}
WAITING: dict[str, tuple[Callable[[Path], None], str]] = {
    "half-written": (_half_written, "the save has not ended"),
    "died-at-90": (_died_at_90_percent, "a save is under way"),
}
ODD_RUNS = ["with spaces", "with,commas", "with\nnewlines", "$(touch pwned)", "n" * 250]
ODD_STEPS = ["checkpoint-1 copy", "checkpoint-1,2", "checkpoint-\n1", "checkpoint-" + "9" * 240]


@pytest.fixture(scope="module")
def crowded(platform: EmbeddedPlatform) -> EmbeddedPlatform:
    """Ten good checkpoints, every bad one and odd names beside them, there at the same moment."""
    staging = platform.home / "staging"
    whole = staging / "whole"
    tiny_llama.write_checkpoint(whole, seed=100, step=1)
    for name, (spoil, _) in {**REFUSED, **WAITING}.items():
        shutil.copytree(whole, staging / name / "checkpoint-1")
        spoil(staging / name / "checkpoint-1")
    for name in ODD_RUNS:
        shutil.copytree(whole, staging / name / "checkpoint-1")
    for name in ODD_STEPS:
        shutil.copytree(whole, staging / "odd-steps" / name)
    for step in range(1, 11):
        directory = staging / "ten" / f"checkpoint-{step}"
        tiny_llama.write_checkpoint(directory, seed=step, step=step)
    shutil.rmtree(whole)
    for run in staging.iterdir():
        run.rename(platform.root / run.name)
    platform.until_settled([*TEN, *(f"{MODEL}.{name}.1" for name in REFUSED)], 600)
    return platform


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_checkpoint_is_rejected_with_its_reason_and_a_fix(
    crowded: EmbeddedPlatform, name: str
) -> None:
    found = crowded.progress()[f"{MODEL}.{name}.1"]
    assert found.state == "rejected"
    assert REFUSED[name][1] in found.reason
    assert found.fix


@pytest.mark.parametrize("name", REFUSED)
def test_nothing_of_a_bad_checkpoint_is_published_or_registered(
    crowded: EmbeddedPlatform, name: str
) -> None:
    key = f"{MODEL}.{name}.1"
    assert len(crowded.runs(key)) == 1
    assert crowded.versions(key) == []
    assert not (crowded.home / "store" / "checkpoints" / key).exists()


@pytest.mark.parametrize("name", WAITING)
def test_an_unfinished_checkpoint_waits_with_its_reason_and_has_no_run(
    crowded: EmbeddedPlatform, name: str
) -> None:
    found = crowded.progress()[f"{MODEL}.{name}.1"]
    assert (found.state, found.run_id) == ("waiting", "")
    assert WAITING[name][1] in found.reason
    assert found.fix
    assert crowded.runs(f"{MODEL}.{name}.1") == ()


def test_odd_names_are_listed_with_the_reason_and_never_run(crowded: EmbeddedPlatform) -> None:
    refused = [each for each in crowded.progress().values() if each.state == "refused"]
    assert len(refused) == len(ODD_RUNS) + len(ODD_STEPS)
    assert all(each.reason and each.fix and each.checkpoint.isprintable() for each in refused)
    assert crowded.ai_how("checkpoints").returncode == 0
    assert not list(Path.cwd().glob("pwned"))


def test_each_of_ten_at_once_has_one_run_one_version_and_one_decision(
    crowded: EmbeddedPlatform,
) -> None:
    assert [len(crowded.runs(key)) for key in TEN] == [1] * 10
    assert [len(crowded.versions(key)) for key in TEN] == [1] * 10
    assert [len(crowded.releases(key)) for key in TEN] == [1] * 10
    assert {crowded.progress()[key].state for key in TEN[:-1]} == {"promoted"}


def test_of_ten_at_once_the_last_one_serves_and_the_one_before_is_kept_warm(
    crowded: EmbeddedPlatform,
) -> None:
    assert crowded.champion() == TEN[-1]
    assert (crowded.served() or ("",))[0] == TEN[-1]
    assert crowded.answers()
    crowded.until(lambda: crowded.slots() == sorted(TEN[-2:]))


def test_a_checkpoint_rewritten_in_place_becomes_a_second_version_and_serves(
    crowded: EmbeddedPlatform,
) -> None:
    before = crowded.served()
    directory = crowded.directory("ten", 10)
    shutil.rmtree(directory)
    crowded.drop("ten", 10, seed=77)
    crowded.until(lambda: len(crowded.runs(TEN[-1])) == 2)
    found = crowded.until_settled([TEN[-1]])
    after = crowded.served()
    assert found[TEN[-1]].state == "serving"
    assert before
    assert after
    assert after[0] == before[0]
    assert after[1] != before[1]
    assert len(set(crowded.versions(TEN[-1]))) == 2


def test_a_checkpoint_rotated_away_while_it_is_hashed_is_turned_away_and_nothing_is_left_of_it(
    crowded: EmbeddedPlatform,
) -> None:
    """The weights are big enough that reading them takes long after the run has begun."""
    staged, key = crowded.home / "staging" / "rotated", f"{MODEL}.rotated.1"
    tiny_llama.write_checkpoint(staged / "checkpoint-1", seed=5, step=1)
    _grow(staged / "checkpoint-1" / WEIGHTS, 500 * 2**20)
    staged.rename(crowded.root / staged.name)
    crowded.until_stage(key, "model_artifact")
    shutil.rmtree(crowded.root / staged.name)
    found = crowded.until(lambda: _failed(crowded, key))
    assert "gone" in found or "rotated away" in found
    assert crowded.versions(key) == []
    left = crowded.home / "store" / "checkpoints" / key
    assert not [path for path in left.rglob("*") if path.is_file()]
    assert crowded.answers()


def _failed(platform: EmbeddedPlatform, key: str) -> str | None:
    found = platform.progress().get(key)
    over = found is not None and found.state in {"rejected", "held"}
    return found.reason if found and over and not platform.active_runs([key]) else None


def _grow(path: Path, size: int) -> None:
    """Add a tensor of `size` bytes to a file of safetensors, its header put right."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    end = len(content) - 8 - length
    header["padding"] = {"dtype": "U8", "shape": [size], "data_offsets": [end, end + size]}
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + content[8 + length :])
        file.truncate(8 + len(text) + end + size)
