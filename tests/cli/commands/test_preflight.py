"""What is told, and what stops a start, of what the host lacks."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from cloud_assets.cli.commands.machines import clusters, preflight, system
from cloud_assets.machines.plan import Change, Options
from cloud_assets.machines.preflight.finding import Finding, ill, slower, well
from cloud_assets.settings_file import load_cluster_file
from resources.errors import NeedsRepair
from tests.machines.conftest import Lab

FOUND = (
    ill("iommu", "off: there are no IOMMU groups", "switch it on"),
    ill("image /images/hpc.qcow2", "not there", "build it"),
    slower("machines' memory", "little is left", "end something"),
    well("dnsmasq", "/usr/sbin/dnsmasq"),
)


def finding(monkeypatch: pytest.MonkeyPatch, found: Sequence[Finding]) -> None:
    monkeypatch.setattr(preflight, "before_start", lambda *_: iter(found))


def start(file: Path, *, preflight: bool = True) -> None:
    options = Options()
    clusters.start("hpc", file, options=options, preflight=preflight, reason="", as_json=True)


def test_all_that_stands_in_the_way_is_one_error_before_anything_is_made(
    lab: Lab, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finding(monkeypatch, FOUND)
    with pytest.raises(NeedsRepair) as raised:
        start(file)
    told = str(raised.value)
    assert "\n  iommu: off: there are no IOMMU groups; fix: switch it on" in told
    assert "\n  image /images/hpc.qcow2: not there; fix: build it" in told
    assert "memory" not in told
    assert "`--skip-preflight`" in str(raised.value.hint)
    assert "warn: machines' memory: little is left; fix: end something" in capsys.readouterr().err
    assert lab.names() == set()


def test_both_clusters_are_stopped_by_it_too(
    lab: Lab, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding(monkeypatch, FOUND)
    with pytest.raises(NeedsRepair, match="it lacks what they need"):
        system.start(file, preflight=True, reason="", as_json=True)
    assert lab.names() == set()
    system.start(file, preflight=False, reason="", as_json=True)
    assert len(lab.active()) == 5


def test_warnings_keep_nobody_from_anything(
    lab: Lab, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding(monkeypatch, FOUND[2:])
    start(file)
    assert len(lab.active()) == 3


def test_it_can_be_left_out(lab: Lab, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "before_start", lambda *_: pytest.fail("it looked"))
    start(file, preflight=False)
    assert len(lab.active()) == 3


@pytest.mark.parametrize(
    "problem", [PermissionError("no"), ValueError("half a file"), NeedsRepair("x", "y", "z")]
)
def test_a_host_that_cannot_be_read_keeps_nobody_from_anything(
    lab: Lab, file: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def unreadable(*_: object) -> Iterator[Finding]:
        yield FOUND[3]
        raise problem

    monkeypatch.setattr(preflight, "before_start", unreadable)
    start(file)
    assert "the host could not be looked at before" in capsys.readouterr().err
    assert len(lab.active()) == 3


def test_of_a_hypervisor_elsewhere_nothing_is_read(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = "cloud_assets.machines.preflight.reading"
    monkeypatch.setattr(f"{reading}.facts", lambda *_, **__: pytest.fail("it read the host"))
    change = Change("machine", "hpc", "hpc-controller", "create", "", starts=True)
    preflight.require(load_cluster_file(file), [change])
