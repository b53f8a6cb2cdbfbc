"""The parts of the testbed that need neither root nor a build: cache, archives, refusals."""

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from resources.errors import NeedsRepair, PermanentError
from tests.testbed import cluster
from tests.testbed.build import cache, commands, docker_archive, host
from tests.testbed.build.cache import Artefact
from tests.testbed.build.docker_archive import Image


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AI_HOW_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "testbed"


def write_one(draft: Path) -> None:
    (draft / "file").write_text("1", "ascii")


def fail_halfway(draft: Path) -> None:
    (draft / "file").write_text("half", "ascii")
    raise PermanentError("a compiler", "build it", "no space left")


def test_a_build_that_fails_leaves_no_artefact(own_cache: Path) -> None:
    broken = Artefact("thing", "recipe", fail_halfway)
    with pytest.raises(PermanentError, match="no space left"):
        cache.have(broken)
    assert [each for each in own_cache.iterdir() if each.is_dir()] == []


def test_what_a_killed_build_left_is_not_taken_for_the_artefact(own_cache: Path) -> None:
    artefact = Artefact("thing", "recipe", write_one)
    stale = own_cache / f".{artefact.path.name}.tmp-killed"
    stale.mkdir(parents=True)
    (stale / "file").write_text("half", "ascii")
    assert (cache.have(artefact) / "file").read_text("ascii") == "1"
    assert not stale.exists()


def test_an_artefact_is_built_once_and_anew_for_another_recipe() -> None:
    built: list[Path] = []
    first = Artefact("thing", "one", built.append)
    assert cache.have(first) == cache.have(first)
    assert cache.have(Artefact("thing", "two", built.append)) != first.path
    assert len(built) == 2


def test_only_what_was_long_unused_and_replaced_is_pruned(own_cache: Path) -> None:
    recipes = {"replaced": "one", "last": "two"}
    made = {each: cache.have(Artefact("thing", text, write_one)) for each, text in recipes.items()}
    alone = cache.have(Artefact("other", "one", write_one))
    for age, path in enumerate([made["last"], made["replaced"], alone]):
        os.utime(path, (100 - age, 100 - age))
    (own_cache / "run").mkdir()
    cache.prune()
    left = {each for each in own_cache.iterdir() if each.is_dir()}
    assert left == {made["last"], alone, own_cache / "run"}


def test_a_failed_command_says_what_it_said() -> None:
    with pytest.raises(PermanentError, match="exit status 3\nbecause"):
        commands.run([sys.executable, "-c", "import sys; sys.stderr.write('because'); sys.exit(3)"])


def test_an_archive_holds_a_shared_layer_once_under_its_digest(tmp_path: Path) -> None:
    layer = tmp_path / "layer.tar"
    with tarfile.open(layer, "w") as tar:
        docker_archive.add_bytes(tar, "file", b"content")
    images = [Image("a:1", [layer], user="7"), Image("b:1", [layer], entrypoint=["/b"])]
    docker_archive.write(tmp_path / "image.tar", images)
    digest = hashlib.sha256(layer.read_bytes()).hexdigest()
    with tarfile.open(tmp_path / "image.tar") as tar:
        assert [name for name in tar.getnames() if name.endswith("layer.tar")] == [
            f"{digest}/layer.tar"
        ]
        manifest = json.load(tar.extractfile("manifest.json") or pytest.fail("no manifest"))
        config = json.load(tar.extractfile(manifest[0]["Config"]) or pytest.fail("no config"))
    assert [each["RepoTags"] for each in manifest] == [["a:1"], ["b:1"]]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{digest}"]
    assert config["config"]["User"] == "7"


def test_without_root_it_says_what_to_do_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(NeedsRepair, match="needs root") as refusal:
        host.prepare()
    assert cluster.KUBECONFIG_VARIABLE in str(refusal.value.hint)


def test_without_go_it_says_what_to_do_instead(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(host, "_GO", (tmp_path,))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NeedsRepair, match="Go is not installed") as refusal:
        host.prepare()
    assert cluster.KUBECONFIG_VARIABLE in str(refusal.value.hint)


def test_a_kubeconfig_of_no_cluster_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(cluster.KUBECONFIG_VARIABLE, str(tmp_path / "absent"))
    with pytest.raises(NeedsRepair) as refusal:
        cluster.up()
    assert refusal.value.hint


def test_down_without_a_testbed_does_nothing() -> None:
    assert cluster.down() == []


def test_status_without_a_testbed_says_how_to_start_one(own_cache: Path) -> None:
    command = [sys.executable, "-m", "tests.testbed", "status"]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert outcome.returncode == 1
    assert "hint: start one with `make testbed-up`" in outcome.stderr
