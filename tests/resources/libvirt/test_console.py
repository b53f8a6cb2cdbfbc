"""The console of a real guest, both ways, its log as it grows, and what is refused."""

import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from resources.errors import NeedsRepair
from resources.libvirt import Connection, Unsupported, domains, guests, networks, observation
from resources.libvirt.api import console
from tests.hypervisor import documents, tiny_guest
from tests.hypervisor.cell import Hypervisor
from tests.hypervisor.documents import Guest, identity
from tests.testbed.build import cache

REPOSITORY = Path(__file__).parents[3]
NAME = "consoled"


def test_the_test_driver_has_no_consoles(simulated: Connection) -> None:
    with (
        pytest.raises(Unsupported, match="the test driver runs no guests"),
        console.opened(simulated, "test", lambda _: None),
    ):
        pass


@pytest.fixture
def guest(hypervisor: Hypervisor, emulated: Connection) -> Iterator[Guest]:
    """Defined and off; nothing is left of it."""
    parts = cache.have(tiny_guest.tiny_guest())
    wanted = Guest(
        NAME, kind="qemu", kernel=parts / tiny_guest.KERNEL, words=(tiny_guest.QUIET_CARD,),
        initramfs=parts / tiny_guest.INITRAMFS, console_log=hypervisor.home / f"{NAME}.log",
    )  # fmt: skip
    networks.define(emulated, documents.network())
    networks.start(emulated, identity(documents.NETWORK))
    domains.define(emulated, wanted.xml())
    yield wanted
    domains.destroy(emulated, wanted.identity)
    domains.undefine(emulated, wanted.identity)
    networks.undefine(emulated, identity(documents.NETWORK))


class Screen:
    """What came over a console, and waiting until something has."""

    def __init__(self) -> None:
        self._shown = b""
        self._changed = threading.Condition()

    def show(self, piece: bytes) -> None:
        with self._changed:
            self._shown += piece
            self._changed.notify_all()

    def wait(self, words: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: words.encode() in self._shown, 300), self._shown


@pytest.mark.hypervisor
def test_a_guest_is_seen_booting_and_takes_what_is_typed(
    emulated: Connection, guest: Guest
) -> None:
    """Nobody reads there: it is the guest's kernel that echoes."""
    domains.start(emulated, guest.identity)
    screen = Screen()
    with console.opened(emulated, NAME, screen.show) as line:
        screen.wait(tiny_guest.UP)
        line.send(b"typed words")
        screen.wait("typed words")
        with (
            pytest.raises(NeedsRepair, match="somebody else is at its console"),
            console.opened(emulated, NAME, screen.show),
        ):
            pass
        with console.opened(emulated, NAME, screen.show, force=True):
            assert line.ended.wait(60)


@pytest.mark.hypervisor
def test_a_console_ends_with_its_guest(emulated: Connection, guest: Guest) -> None:
    domains.start(emulated, guest.identity)
    with console.opened(emulated, NAME, lambda _: None) as line:
        domains.destroy(emulated, guest.identity)
        assert line.ended.wait(60)
        line.send(b"into nothing")


@pytest.mark.hypervisor
def test_a_log_is_followed_until_the_guest_is_off(emulated: Connection, guest: Guest) -> None:
    domains.start(emulated, guest.identity)

    def is_off() -> bool:
        found = observation.domain(emulated, NAME)
        return found is None or not found.is_active

    seen = ""
    for piece in guests.console_lines(emulated, NAME, lines=1, is_over=is_off):
        seen += piece
        if tiny_guest.UP in seen:
            domains.destroy(emulated, guest.identity)
    assert tiny_guest.UP in seen


def written(directory: Path, uri: str) -> Path:
    path = directory / "cluster.yaml"
    path.write_text(yaml.safe_dump({"platform": {"machines": {"uri": uri}}}), "utf-8")
    return path


def command(cluster: Path, *words: str) -> tuple[list[str], dict[str, str]]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AI_HOW")}
    environment |= {"PYTHONPATH": str(REPOSITORY), "AI_HOW_CLUSTER": str(cluster)}
    return [sys.executable, "-m", "cloud_assets.cli.main", "console", *words], environment


@pytest.mark.hypervisor
def test_on_a_terminal_one_is_at_the_console_until_the_escape(
    hypervisor: Hypervisor, emulated: Connection, guest: Guest, tmp_path: Path
) -> None:
    domains.start(emulated, guest.identity)
    ours, theirs = pty.openpty()
    words, environment = command(written(tmp_path, hypervisor.uri), NAME)
    with subprocess.Popen(
        words, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as at_it:
        os.close(theirs)
        shown = _until(ours, b"Ctrl-]")
        shown = _until(ours, tiny_guest.UP.encode(), shown)
        # Ctrl-C is the guest's.
        os.write(ours, b"\x03hello")
        _until(ours, b"hello", shown)
        os.write(ours, b"\x1d")
        assert at_it.wait(60) == 0
    os.close(ours)


def _until(terminal: int, words: bytes, shown: bytes = b"") -> bytes:
    while words not in shown:
        piece = os.read(terminal, 1024)
        assert piece, shown
        shown += piece
    return shown


@pytest.mark.hypervisor
def test_in_a_pipe_the_log_is_printed(
    hypervisor: Hypervisor, emulated: Connection, guest: Guest, tmp_path: Path
) -> None:
    domains.start(emulated, guest.identity)
    words, environment = command(written(tmp_path, hypervisor.uri), NAME, "--follow")
    with subprocess.Popen(
        words, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as following:
        assert following.stdout is not None
        for line in following.stdout:
            if tiny_guest.UP in line:
                following.send_signal(signal.SIGINT)
                break
        assert following.wait(60) == 130
    words, environment = command(written(tmp_path, hypervisor.uri), NAME, "--lines", "1")
    last = subprocess.run(
        words, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    assert last.stdout == f"{tiny_guest.UP}\n"
