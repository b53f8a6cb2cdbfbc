"""How far cloud-init is, by what a guest agent reads; the real one is asked on QEMU."""

import pytest

from cloud_assets.machines.applying import cloud_init
from resources.libvirt import AgentSilent, Connection, NotFound, Unsupported, guests

BEGUN, ENDED = "/run/cloud-init/enabled", "/run/cloud-init/result.json"
FAILED = """{"v1": {"datasource": "NoCloud", "errors": ["('locale', ProcessExecutionError())"]}}"""


def asked(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str | Exception]
) -> cloud_init.Progress:
    """With an agent that has these files, or answers so."""

    def read(_: Connection, name: str, path: str) -> str:
        found = files.get(path, NotFound("libvirt", f"read {path} in {name}", "No such file"))
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(guests, "file", read)
    return cloud_init.progress(Connection("test:///default"), "machine")


def test_without_cloud_init_there_is_nothing_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, {}) == cloud_init.Progress(is_over=True)


def test_it_is_at_work_until_it_has_written_its_result(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, {BEGUN: ""}) == cloud_init.Progress(is_over=False)


def test_what_failed_in_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = asked(monkeypatch, {BEGUN: "", ENDED: FAILED})
    assert found == cloud_init.Progress(True, ("('locale', ProcessExecutionError())",))


@pytest.mark.parametrize("written", ["", "{", "[]", '{"v1": 1}', '{"v2": {}}'])
def test_a_result_of_another_form_tells_of_no_failure(written: str) -> None:
    assert cloud_init.problems(written) == ()


def test_an_agent_that_may_not_read_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = Unsupported("libvirt", "read", "it has been disabled for this instance")
    assert asked(monkeypatch, {BEGUN: refusal}).is_over


def test_an_agent_that_falls_silent_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    silence = AgentSilent("libvirt", "read", "it is not connected")
    assert not asked(monkeypatch, {BEGUN: silence}).is_over
