"""`console`: a machine's serial console, live on a terminal, else what it has written."""

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from cloud_assets.cli import output
from cloud_assets.machines.guests import reach
from cloud_assets.machines.host import Host
from cloud_assets.settings_file import load_cluster_file
from resources.libvirt import Connection, guests, observation
from resources.libvirt.api import console as consoles

#: Ctrl-], as with virsh.
ESCAPE = b"\x1d"
LINES = 50
_LOOK_SECONDS = 0.2
_TYPED_BYTES = 1024


def console(name: str, *, lines: int | None, follow: bool, force: bool) -> None:
    """Live where both ends are a terminal and no lines are asked for."""
    read = load_cluster_file()
    host = Host.of(read.platform.machines, read.clusters)
    live = lines is None and not follow and sys.stdin.isatty() and output.on_terminal()
    with host.connected() as connection:
        if live:
            reach.running(connection, name, host.desired, action=f"open the console of {name}")
            _attach(connection, name, force=force)
        else:
            reach.known(connection, name, host.desired)
            _print(connection, name, LINES if lines is None else lines, follow=follow)


def _print(connection: Connection, name: str, lines: int, *, follow: bool) -> None:
    if not follow:
        output.line(guests.console_tail(connection, name, lines=lines))
        return

    def is_off() -> bool:
        found = observation.domain(connection, name)
        return found is None or not found.is_active

    for piece in guests.console_lines(connection, name, lines=lines, is_over=is_off):
        output.piece(piece)


def _attach(connection: Connection, name: str, *, force: bool) -> None:
    keyboard = sys.stdin.fileno()
    with consoles.opened(connection, name, output.raw, force=force) as line:
        output.note(f"connected to {name}; Ctrl-] ends it, Enter may bring a prompt")
        with _raw(keyboard):
            _type_until_escape(line, keyboard)
    output.note(f"\n{name}: {'it is off' if line.ended.is_set() else 'left'}")


def _type_until_escape(line: consoles.Console, keyboard: int) -> None:
    while not line.ended.is_set():
        if not select.select([keyboard], [], [], _LOOK_SECONDS)[0]:
            continue
        typed = os.read(keyboard, _TYPED_BYTES)
        before, escape, _ = typed.partition(ESCAPE)
        line.send(before)
        if escape or not typed:
            return


@contextmanager
def _raw(terminal: int) -> Iterator[None]:
    """Within, every key goes to the guest, Ctrl-C too; afterwards the terminal is as it was."""
    import termios
    import tty

    before = termios.tcgetattr(terminal)
    try:
        tty.setraw(terminal)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
