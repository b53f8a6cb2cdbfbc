"""The call itself: what is on the command line, what is not, and what helm's words become."""

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from resources.errors import ExternalError, NeedsRepair, PermanentError, TransientError, UsageError
from resources.helm import Chart, Installation, command

Script = Callable[[str], Path]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Writes a program that stands where helm would."""

    def write(text: str) -> Path:
        path = tmp_path / "helm"
        path.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
        path.chmod(0o755)
        return path

    return write


@pytest.mark.parametrize("name", ["", "-x", "--post-renderer=sh"])
def test_a_chart_is_never_an_option(name: str) -> None:
    with pytest.raises(UsageError):
        Chart(name)


@pytest.mark.parametrize("name", ["", "-x", "Web", "a/b", "a" * 54])
def test_a_release_has_a_name_that_helm_takes(name: str) -> None:
    with pytest.raises(UsageError):
        Installation(name, Chart("chart"), "space")


def test_values_show_in_no_text() -> None:
    assert "hunter2" not in repr(Installation("web", Chart("chart"), "space", {"a": "hunter2"}))


def test_no_helm_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("AI_HOW_HELM", raising=False)
    with pytest.raises(NeedsRepair, match="no program helm") as caught:
        command.program()
    assert "AI_HOW_HELM" in str(caught.value.hint)


def test_the_named_helm_is_taken(monkeypatch: pytest.MonkeyPatch, script: Script) -> None:
    path = script("exit 0")
    monkeypatch.setenv("AI_HOW_HELM", str(path))
    assert command.program() == path


def test_values_go_by_a_file_that_nobody_else_reads(script: Script) -> None:
    told = command.run(
        script('for each; do last=$each; done; stat -c %a "$last"; cat "$last"; echo; echo "$@"'),
        ["upgrade"],
        action="test",
        values={"password": "hunter2"},
    ).splitlines()
    assert oct(stat.S_IRUSR | stat.S_IWUSR).endswith(told[0])
    assert json.loads(told[1]) == {"password": "hunter2"}
    assert "hunter2" not in told[2]
    assert not Path(told[2].split()[-1]).exists()


def test_a_users_settings_do_not_count(monkeypatch: pytest.MonkeyPatch, script: Script) -> None:
    for name in ("KUBECONFIG", "HELM_KUBETOKEN", "HELM_NAMESPACE"):
        monkeypatch.setenv(name, "theirs")
    told = command.run(script("env"), [], action="test")
    assert "theirs" not in told


def test_a_helm_that_hangs_is_ended(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_GRACE_SECONDS", 0.0)
    with pytest.raises(TransientError, match="did not end"):
        command.run(script("exec sleep 60"), [], action="test", timeout_seconds=0.2)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Error: UPGRADE FAILED: timed out waiting for the condition", TransientError),
        ("Error: INSTALLATION FAILED: context deadline exceeded", TransientError),
        ('Error: Get "https://x/version": dial tcp: connection refused', TransientError),
        ("Error: Kubernetes cluster unreachable: x509: unknown authority", NeedsRepair),
        ('Error: configmaps is forbidden: User "x" cannot list', NeedsRepair),
        ('Error: no matches for kind "Thing" in version "x/v1"', NeedsRepair),
        ("Error: repo https://x not found in any repository", PermanentError),
        ("Error: values don't meet the specifications of the schema(s)", PermanentError),
        ("", PermanentError),
    ],
)
def test_words_become_errors(said: str, kind: type[ExternalError]) -> None:
    assert isinstance(command.failure(said, "test", values={}), kind)


def test_warnings_are_no_reason() -> None:
    said = "WARNING: Kubernetes configuration file is group-readable.\nError: it\n  failed\n"
    assert command.last_words(said) == "it failed"


def test_no_secret_is_in_a_reason() -> None:
    values = {"auth": {"rootPassword": "hunter2"}, "tokens": ["t0ken"], "greeting": "hello"}
    told = command.redacted("hunter2 aHVudGVyMg== t0ken hello", values)
    assert told == "*** *** *** hello"
