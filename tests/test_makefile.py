"""The targets: what each runs, which for most is `ai-how`, or pytest, and no more."""

import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from cloud_assets.cli.main import app

ROOT = Path(__file__).resolve().parents[1]
BIN = ".venv/bin/"
#: Targets with what they run, `C` being the file that is named, if one is, and `F` for `--force`.
TARGETS = {
    "hpc-cluster-inventory": "ai-how inventory generate-hpc C",
    "hpc-cluster-start": "ai-how hpc start C",
    "hpc-cluster-stop": "ai-how hpc stop C F",
    "hpc-cluster-deploy": "ai-how hpc start C",
    "hpc-cluster-destroy": "ai-how hpc destroy C F",
    "hpc-cluster-status": "ai-how hpc status C",
    "cloud-cluster-inventory": "ai-how inventory generate-k8s C",
    "cloud-cluster-start": "ai-how cloud start C",
    "cloud-cluster-stop": "ai-how cloud stop C F",
    "cloud-cluster-deploy": "ai-how cloud start C",
    "cloud-cluster-destroy": "ai-how cloud destroy C F",
    "cloud-cluster-status": "ai-how cloud status C",
    "system-start": "ai-how system start C",
    "system-stop": "ai-how system stop C F",
    "system-deploy": "ai-how system start C",
    "system-status": "ai-how system status C",
    "system-destroy": "ai-how system destroy C F",
    "all-clusters-status": "ai-how topology --config C",
    "validate-cloud-full": "ai-how validate C\nai-how --cluster C doctor",
    "validate-shared-gpu": "ai-how --cluster C gpu conflicts",
    "switch-cluster": "ai-how --cluster C gpu switch 0000:01:00.0 --to vm",
}
ALIASES = {
    f"cluster-{verb}": f"hpc-cluster-{verb}"
    for verb in ("inventory", "start", "stop", "deploy", "destroy", "status")
}
TESTS = {
    "test-cloud-deployment": ["tests/machines", "tests/resources/libvirt"],
    "test-cloud-kubernetes": ["tests/testbed", "tests/resources/kubernetes"],
    "test-cloud-mlops": ["tests/services", "tests/e2e/test_services.py"],
    "test-cloud-inference": [
        "tests/resources/kserve", "tests/e2e/test_kserve.py", "tests/e2e/test_kserve_failures.py"
    ],
}  # fmt: skip
#: A test that leaves a process behind in a session of its own, and is still at work.
LEAVING = """
import pathlib, subprocess, sys, time
def test_it():
    sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
    left = subprocess.Popen(sleep, start_new_session=True)
    pathlib.Path(__file__).with_name("left").write_text(f"{left.pid}\\n")
    time.sleep(600)
"""
EVERY = {**TARGETS, **{name: TARGETS[of] for name, of in ALIASES.items()}}


def made(target: str, *variables: str) -> list[str]:
    """The command lines of a target, with the set-up taken as done."""
    command = ["make", "--dry-run", "--no-print-directory", "-o", ".venv/.installed", target]
    ran = subprocess.run(
        [*command, *variables], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    return [" ".join(line.split()) for line in ran.stdout.splitlines()]


def expected(text: str, config: str, force: str) -> list[str]:
    """The lines, without the option of a file where none is named."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if not config:
            words = re.sub(r"(--cluster |--config |)\bC\b", "", line).split()
        words = [{"C": config, "F": force}.get(word, word) for word in words]
        found.append(" ".join([f"{BIN}{words[0]}", *filter(None, words[1:])]))
    return found


@pytest.mark.parametrize("target", EVERY)
@pytest.mark.parametrize(("config", "force"), [("", ""), ("some/cluster.yaml", "--force")])
def test_a_target_is_a_command(target: str, config: str, force: str) -> None:
    variables = [f"CONFIG={config}", f"FORCE={1 if force else ''}", "GPU=0000:01:00.0", "TO=vm"]
    assert made(target, *variables) == expected(EVERY[target], config, force)


@pytest.mark.parametrize("target", TARGETS)
def test_its_command_line_is_one_that_the_command_takes(
    target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The option sets it for the process.
    monkeypatch.setenv("AI_HOW_CLUSTER", "another.yaml")
    for line in made(target, "CONFIG=a.yaml", "FORCE=1", "GPU=0000:01:00.0", "TO=vm"):
        _, *words = shlex.split(line)
        ended = CliRunner().invoke(app, [*words, "--help"])
        assert ended.exit_code == 0, ended.output
        assert "Usage:" in ended.output


def test_an_inventory_goes_where_it_is_asked() -> None:
    assert made("hpc-cluster-inventory", "OUTPUT=hosts.ini") == [
        f"{BIN}ai-how inventory generate-hpc -o hosts.ini"
    ]


def test_a_switch_without_its_words_says_which() -> None:
    ran = subprocess.run(
        ["make", "--dry-run", "-o", ".venv/.installed", "switch-cluster"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 2
    assert "name GPU= and TO=" in ran.stderr


@pytest.mark.parametrize("target", TESTS)
def test_a_suite_is_tests_that_are_there(target: str) -> None:
    [line] = made(target)
    words = shlex.split(line)
    assert words[:2] == [f"{BIN}pytest", "-m"]
    assert words[3:] == TESTS[target]
    assert [each for each in words[3:] if not (ROOT / each).exists()] == []


def test_all_suites_are_one_target() -> None:
    assert made("test-cloud-all") == [line for name in TESTS for line in made(name)]


def test_help_lists_every_target() -> None:
    ran = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = set(re.findall(r"^  make (\S+)", ran.stdout, flags=re.MULTILINE))
    assert {*EVERY, *TESTS, "test-cloud-all"} - listed == set()


def halves() -> list[list[str]]:
    """What `make test` runs after the checks, without what the shell does with the outcome."""
    lines = [line for line in made("test") if "pytest" in line]
    return [shlex.split(line.removesuffix(" || status=$?; \\")) for line in lines]


def test_two_halves_are_all_tests() -> None:
    marked = [words[words.index("-m") + 1] for words in halves()]
    assert marked == ["not e2e", "e2e"]


@pytest.mark.parametrize("failing", halves())
def test_a_half_that_fails_fails_the_target_and_the_other_runs(
    failing: list[str], tmp_path: Path
) -> None:
    """A program in pytest's place writes down its words."""
    stand_in, written = tmp_path / "bin" / "python", tmp_path / "written"
    stand_in.parent.mkdir()
    expression = failing[failing.index("-m") + 1]
    stand_in.write_text(f'#!/bin/sh\necho "$@" >> {written}\n[ "$4" != "{expression}" ]\n')
    stand_in.chmod(0o755)
    ended = subprocess.run(
        ["make", "-o", "check", f"BIN={stand_in.parent}", "test"],
        cwd=ROOT, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 2
    assert len(written.read_text("utf-8").splitlines()) == len(halves())


@pytest.mark.real
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_tests_started_ends_where_they_are_interrupted(
    tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "test_it.py").write_text(LEAVING, "utf-8")
    interrupted = subprocess.Popen(
        [*halves()[0], "-p", "no:cacheprovider", str(tmp_path / "test_it.py")],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    told = tmp_path / "left"
    while not (told.exists() and told.read_text("utf-8").endswith("\n")):
        assert interrupted.poll() is None, "it ended by itself"
        time.sleep(0.05)
    left = psutil.Process(int(told.read_text("utf-8")))
    os.killpg(interrupted.pid, number)
    assert interrupted.wait() != 0
    assert not left.is_running()
