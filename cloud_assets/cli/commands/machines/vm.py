"""`vm`: one machine by libvirt's name of it, which alone is asked for it."""

from collections.abc import Iterator
from typing import Any

from cloud_assets.cli import output
from cloud_assets.machines.applying import boot, lifecycle
from cloud_assets.machines.applying.progress import Step
from cloud_assets.settings_file import load_settings
from resources.libvirt import Connection, Domain, observe

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


def start(name: str, *, wait: bool, as_json: bool) -> None:
    settings = load_settings().machines
    patience = settings.boot_timeout_seconds if wait else None
    with Connection(settings.uri) as connection:
        done = lifecycle.start(connection, name, patience=patience, told=told)
        _say(connection, name, "started" if done else "it runs already", as_json=as_json)


def stop(name: str, *, force: bool, as_json: bool) -> None:
    settings = load_settings().machines
    with Connection(settings.uri) as connection:
        done = lifecycle.stop(
            connection, name, patience=settings.shutdown_timeout_seconds, force=force, told=told
        )
        _say(connection, name, "stopped" if done else "it is off already", as_json=as_json)


def restart(name: str, *, force: bool, wait: bool, as_json: bool) -> None:
    settings = load_settings().machines
    patience = settings.boot_timeout_seconds if wait else None
    with Connection(settings.uri) as connection:
        lifecycle.stop(
            connection, name, patience=settings.shutdown_timeout_seconds, force=force, told=told
        )
        lifecycle.start(connection, name, patience=patience, told=told)
        _say(connection, name, "restarted", as_json=as_json)


def row(connection: Connection, domain: Domain) -> dict[str, Any]:
    """What is told of a machine in a list."""
    guest = boot.Guest.seen(domain)
    address = boot.readiness(connection, guest).address if domain.is_active else ""
    devices = [each.address or each.uuid for each in domain.configured.host_devices]
    return {
        "machine": domain.name,
        "cluster": (domain.configured.mark or {}).get("cluster", ""),
        "role": (domain.configured.mark or {}).get("role", ""),
        "state": str(domain.state),
        "address": address,
        "cpus": domain.live.vcpus,
        "memory": f"{domain.live.memory / 2**30:g} GiB",
        "start": "with the host" if domain.is_autostart else "",
        "devices": " ".join(devices),
        "uuid": domain.uuid,
    }


def told(step: Step) -> None:
    """A phase of a machine, for the person."""
    output.note(f"{step.name}: {step.phase}{f' {step.said}' if step.said else ''}")


def _ours(connection: Connection) -> Iterator[Domain]:
    return (each for each in observe(connection).domains if lifecycle.is_ours(each))


def _say(connection: Connection, name: str, what: str, *, as_json: bool) -> None:
    if as_json:
        found = row(connection, lifecycle.found(connection, name))
        output.json_document({**found, "done": what})
    else:
        output.line(f"{name}: {what}")
