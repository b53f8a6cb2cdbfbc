"""`vm`: one machine by libvirt's name of it, which alone is asked for it."""

from collections.abc import Iterator

from cloud_assets.cli import output
from cloud_assets.cli.commands.machines.recorded import Asked, power
from cloud_assets.cli.commands.machines.shown import row
from cloud_assets.machines.applying import lifecycle
from cloud_assets.machines.power.request import Action, Request
from cloud_assets.settings_file import load_settings
from resources.libvirt import Connection, Domain, State, observe

COLUMNS = ("machine", "state", "address", "cpus", "memory", "start", "devices")


def status(name: str | None, *, as_json: bool) -> None:
    """That machine, or all of ours."""
    with Connection(load_settings().machines.uri) as connection:
        found = [lifecycle.found(connection, name)] if name else list(_ours(connection))
        rows = [row(connection, each) for each in found]
    if not rows and not as_json:
        output.note(
            "no machine is the platform's; `ai-how hpc start` or `ai-how cloud start` makes them"
        )
        return
    output.records(COLUMNS, rows, as_json=as_json)


def start(name: str, *, wait: bool, reason: str, as_json: bool) -> None:
    request = Request(Action.start, (name,), wait=wait)
    _carry_out(request, reason, ("started", "it runs already"), as_json=as_json)


def stop(name: str, *, force: bool, reason: str, as_json: bool) -> None:
    request = Request(Action.stop, (name,), force=force)
    _carry_out(request, reason, ("stopped", "it is off already"), as_json=as_json)


def restart(name: str, *, force: bool, wait: bool, reason: str, as_json: bool) -> None:
    request = Request(Action.restart, (name,), force=force, wait=wait)
    _carry_out(request, reason, ("restarted", "restarted"), as_json=as_json)


def _carry_out(request: Request, reason: str, words: tuple[str, str], *, as_json: bool) -> None:
    """`words` are what is said where it was done, and where nothing was to be done."""
    asked = Asked(reason=reason)
    read, name = asked.read(), request.machines[0]
    with Connection(read.platform.machines.uri) as connection:
        # What is known at once needs no run to fail.
        domain = lifecycle.found(connection, name)
        if request.action is Action.start:
            lifecycle.require_devices(connection, domain)
        is_so = _is_so(request, domain)
        if is_so and request.action is Action.start and request.wait:
            patience = read.platform.machines.boot_timeout_seconds
            lifecycle.start(connection, name, patience=patience, told=asked.told)
        run = None if is_so else power(asked, read, request)["run"]
        done = words[1] if is_so else words[0]
        if as_json:
            found = row(connection, lifecycle.found(connection, name))
            output.json_document({**found, "done": done, "run": run})
        else:
            output.line(f"{name}: {done}")


def _is_so(request: Request, domain: Domain) -> bool:
    """Whether it is as asked for already."""
    if request.action is Action.stop:
        return not domain.is_active
    is_on = domain.is_active and domain.state is not State.PAUSED
    return request.action is Action.start and is_on


def _ours(connection: Connection) -> Iterator[Domain]:
    return (each for each in observe(connection).domains if lifecycle.is_ours(each))
