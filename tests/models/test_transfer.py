"""Publishing: whole or not at all, once, and going on after a kill."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cloud_assets.documents import Manifest
from cloud_assets.identity import CheckpointKey, StorePaths
from cloud_assets.models.layout import inspect
from cloud_assets.models.transfer import Transferred, publish, read_manifest, verify
from resources.errors import RefusedCheckpoint, TransientError
from resources.object_store import ObjectStore
from tests.doubles.checkpoints import Checkpoints, safetensors

KEY = CheckpointKey("qa", "run", 100)
PATHS = StorePaths(str(KEY))


def published(path: Path, store: ObjectStore) -> tuple[Manifest, Transferred]:
    return publish(inspect(path), KEY, store=store)


def test_every_file_is_in_the_store_with_its_hash(
    checkpoints: Checkpoints, store: ObjectStore
) -> None:
    path = checkpoints.hf()

    manifest, done = published(path, store)

    assert done.sent_files == len(manifest.files) == 5
    assert done.sent_bytes == manifest.total_bytes
    assert verify(manifest, store) == []
    assert read_manifest(store, str(KEY)) == manifest


def test_nothing_else_is_in_the_store(checkpoints: Checkpoints, store: ObjectStore) -> None:
    manifest, _ = published(checkpoints.hf(), store)

    record = PATHS.record(manifest.fingerprint)
    expected = {PATHS.manifest, record, *(manifest.prefix + file.name for file in manifest.files)}
    assert set(store.list("checkpoints/")) == expected
    assert store.root is not None
    assert {path.name for path in store.root.rglob("*") if "#" in path.name} == set()


def test_the_manifest_tells_where_the_checkpoint_came_from(
    checkpoints: Checkpoints, store: ObjectStore
) -> None:
    path = checkpoints.lora()

    manifest, _ = published(path, store)

    assert (manifest.model, manifest.run, manifest.step) == ("qa", "run", 100)
    assert (manifest.layout, manifest.base_model) == ("lora", "org/base")
    assert manifest.source == str(path)
    assert manifest.fingerprint == inspect(path).fingerprint


def test_a_second_run_sends_nothing_and_returns_the_same_manifest(
    checkpoints: Checkpoints, store: ObjectStore
) -> None:
    path = checkpoints.hf()
    first, _ = published(path, store)

    second, done = published(path, store)

    assert second == first
    assert (done.sent_files, done.skipped_files) == (0, 5)


def test_the_digest_depends_on_the_bytes_alone(
    checkpoints: Checkpoints, store: ObjectStore
) -> None:
    first, _ = publish(inspect(checkpoints.hf("a")), CheckpointKey("qa", "a", 100), store=store)
    second, _ = publish(inspect(checkpoints.hf("b")), CheckpointKey("qa", "b", 100), store=store)
    other = checkpoints.hf("c")
    (other / "tokenizer.json").write_text("{}")
    third, _ = publish(inspect(other), CheckpointKey("qa", "c", 100), store=store)

    assert first.digest == second.digest != third.digest


def test_a_rewritten_checkpoint_gets_a_prefix_of_its_own(
    checkpoints: Checkpoints, store: ObjectStore
) -> None:
    path = checkpoints.hf()
    first, _ = published(path, store)
    (path / "model.safetensors").write_bytes(safetensors({"embed": 64, "head": 64}, fill=b"\2"))

    second, _ = published(path, store)

    assert second.prefix != first.prefix
    assert verify(first, store) == verify(second, store) == []
    assert read_manifest(store, str(KEY)) == second


def test_progress_ends_at_the_total(checkpoints: Checkpoints, store: ObjectStore) -> None:
    seen: list[tuple[int, int]] = []

    manifest, _ = publish(
        inspect(checkpoints.sharded()),
        KEY,
        store=store,
        progress=lambda done, total: seen.append((done, total)),
    )

    assert seen[-1] == (manifest.total_bytes, manifest.total_bytes)


def test_a_checkpoint_that_is_not_complete_is_not_published(
    checkpoints: Checkpoints, store: ObjectStore
) -> None:
    with pytest.raises(RefusedCheckpoint, match="pickle"):
        published(checkpoints.pickle_only(), store)


def grow(path: Path) -> None:
    with (path / "model.safetensors").open("ab") as file:
        file.write(b"x")


def rewrite(path: Path) -> None:
    content = (path / "model.safetensors").read_bytes()
    (path / "model.safetensors").write_bytes(content)
    os.utime(path / "model.safetensors", ns=(1, 1))


def replace_file(path: Path) -> None:
    status = (path / "model.safetensors").stat()
    shutil.copy2(path / "model.safetensors", path / "new")
    os.rename(path / "new", path / "model.safetensors")
    os.utime(path / "model.safetensors", ns=(status.st_atime_ns, status.st_mtime_ns))


def delete(path: Path) -> None:
    (path / "model.safetensors").unlink()


def late(path: Path) -> None:
    (path / "rng_state_7.pth").write_bytes(b"late")


def swap_link(path: Path) -> None:
    (path / "model.safetensors").unlink()
    (path / "model.safetensors").symlink_to("/etc/passwd")


CHANGES = [grow, rewrite, delete, late, shutil.rmtree]


@pytest.mark.parametrize("change", [*CHANGES, replace_file])
def test_a_change_between_look_and_transfer_publishes_nothing(
    checkpoints: Checkpoints, store: ObjectStore, change: Callable[[Path], None]
) -> None:
    path = checkpoints.hf()
    found = inspect(path)
    change(path)

    with pytest.raises(TransientError, match=r"rotated away|while it was being read"):
        publish(found, KEY, store=store)

    assert store.list("checkpoints/") == {}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_in_the_middle_of_the_transfer_publishes_nothing(
    checkpoints: Checkpoints, store: ObjectStore, change: Callable[[Path], None]
) -> None:
    path = checkpoints.hf()
    largest = (path / "model.safetensors").stat().st_size

    def progress(done: int, total: int) -> None:
        if done >= largest and path.exists() and not getattr(progress, "fired", False):
            progress.fired = True  # type: ignore[attr-defined]
            change(path)

    with pytest.raises(TransientError, match=r"rotated away|while it was being read"):
        publish(inspect(path), KEY, store=store, progress=progress)

    assert store.list("checkpoints/") == {}


def test_a_file_swapped_for_a_link_is_never_followed(
    checkpoints: Checkpoints, store: ObjectStore
) -> None:
    path = checkpoints.hf()
    found = inspect(path)
    swap_link(path)

    with pytest.raises((RefusedCheckpoint, TransientError)):
        publish(found, KEY, store=store)

    assert store.list("checkpoints/") == {}


def test_a_failed_rewrite_leaves_what_is_published_as_it_is(
    checkpoints: Checkpoints, store: ObjectStore
) -> None:
    path = checkpoints.hf()
    first, _ = published(path, store)
    late(path)
    found = inspect(path)
    shutil.rmtree(path)

    with pytest.raises(TransientError):
        publish(found, KEY, store=store)

    assert read_manifest(store, str(KEY)) == first
    assert verify(first, store) == []


def test_a_changed_object_is_found_and_named(checkpoints: Checkpoints, store: ObjectStore) -> None:
    manifest, _ = published(checkpoints.hf(), store)
    size = store.size(manifest.prefix + "config.json") or 0
    store.write(manifest.prefix + "config.json", b"x" * size)

    assert verify(manifest, store) == ["config.json has other bytes than were published"]


def test_a_missing_object_is_found_and_named(checkpoints: Checkpoints, store: ObjectStore) -> None:
    manifest, _ = published(checkpoints.hf(), store)
    assert store.root is not None
    (store.root / manifest.prefix / "config.json").unlink()

    (problem,) = verify(manifest, store)

    assert problem.startswith("config.json is missing")


def test_a_lost_object_is_sent_again(checkpoints: Checkpoints, store: ObjectStore) -> None:
    path = checkpoints.hf()
    manifest, _ = published(path, store)
    assert store.root is not None
    (store.root / manifest.prefix / "config.json").unlink()

    again, _ = published(path, store)

    assert again.digest == manifest.digest
    assert verify(again, store) == []


def test_a_manifest_that_cannot_be_read_counts_as_none(
    checkpoints: Checkpoints, store: ObjectStore
) -> None:
    store.write(PATHS.manifest, b'{"key": "half')

    manifest, done = published(checkpoints.hf(), store)

    assert done.sent_files == 5
    assert read_manifest(store, str(KEY)) == manifest


def test_a_receipt_for_an_older_file_is_not_believed(
    checkpoints: Checkpoints, store: ObjectStore
) -> None:
    path = checkpoints.hf()
    found = inspect(path)
    weights = next(file for file in found.files if file.name == "model.safetensors")
    receipt = {
        "name": weights.name,
        "size": weights.size,
        "mtime_ns": weights.mtime_ns - 1,
        "inode": weights.inode,
        "sha256": "0" * 64,
    }
    store.write(PATHS.model(found.fingerprint) + weights.name, b"0" * weights.size)
    receipts = PATHS.receipts(found.fingerprint)
    store.write(f"{receipts}{weights.name}.json", json.dumps(receipt).encode())
    store.write(f"{receipts}broken.json", b"{")

    manifest, done = publish(found, KEY, store=store)

    assert done.skipped_files == 0
    assert verify(manifest, store) == []


def test_an_inspection_of_other_files_is_not_believed(
    checkpoints: Checkpoints, store: ObjectStore
) -> None:
    found = inspect(checkpoints.hf())
    wrong = replace(found, files=tuple(replace(file, inode=1) for file in found.files))

    with pytest.raises(TransientError, match="changed while it was being read"):
        publish(wrong, KEY, store=store)


def test_the_checkpoint_is_left_as_it_was(checkpoints: Checkpoints, store: ObjectStore) -> None:
    path = checkpoints.sharded()
    before = (path.stat().st_mtime_ns, sorted(os.listdir(path)), inspect(path).fingerprint)

    published(path, store)

    assert before == (path.stat().st_mtime_ns, sorted(os.listdir(path)), inspect(path).fingerprint)
