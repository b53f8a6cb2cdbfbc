"""`snapshot`: keeping machines as they are, and going back; one machine, or a whole cluster."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cloud_assets.cli import output
from cloud_assets.cli.commands.guests import snapshot_runs
from cloud_assets.machines.guests import reach, snapshots
from cloud_assets.machines.guests.snapshots import Kept
from cloud_assets.machines.host import Host
from cloud_assets.settings_file import load_cluster_file
from resources.errors import NeedsRepair, UsageError
from resources.libvirt import Connection, observation

#: Whether a run has done it: the action, the snapshot, what it is for.
ByARun = Callable[[str, str, str], bool]
COLUMNS = ("machine", "name", "state", "created", "current", "description")


@dataclass(frozen=True)
class Asked:
    """What a command named: a machine and a snapshot, or a cluster and a snapshot."""

    machine: str
    cluster: str
    name: str

    @classmethod
    def of(cls, words: Sequence[str], cluster: str) -> "Asked":
        """Raises UsageError where there are too many words, or none that names a machine."""
        rest = list(words)
        machine = "" if cluster or not rest else rest.pop(0)
        if not (cluster or machine):
            hint = "name a machine, or a whole cluster: `--cluster hpc`"
            raise UsageError("there is no machine to act on", hint=hint)
        if len(rest) > 1:
            raise UsageError(f"there is one word too many: {rest[1]}", hint="see `--help`")
        return cls(machine, cluster, rest[0] if rest else "")


def create(words: Sequence[str], cluster: str, *, description: str, as_json: bool) -> None:
    """Under the name that is given, or under the time."""
    asked = Asked.of(words, cluster)
    name = asked.name or datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    with _machines(asked) as (connection, machines, by_a_run):
        snapshots.require_creatable(connection, machines, name)
        if not by_a_run("create", name, description):
            snapshots.create(
                connection, machines, name, description=description,
                told=lambda each: output.note(f"{each}: kept as {name}"),
            )  # fmt: skip
        made = [each for each in snapshots.listed(connection, machines) if each.name == name]
    _show(made, as_json=as_json)


def listed(words: Sequence[str], cluster: str, *, as_json: bool) -> None:
    asked = Asked.of(words, cluster)
    with _machines(asked) as (connection, machines, _):
        found = snapshots.listed(connection, machines)
    chosen = [each for each in found if asked.name in ("", each.name)]
    if not chosen and not as_json:
        output.note(f"there are no snapshots of {', '.join(machines)}")
        return
    _show(chosen, as_json=as_json)


def revert(
    words: Sequence[str], cluster: str, *, confirmed: Callable[[str], bool], as_json: bool
) -> None:
    """To that snapshot, or to the newest. `confirmed` is asked with a sentence first."""
    asked = Asked.of(words, cluster)
    with _machines(asked) as (connection, machines, by_a_run):
        found = snapshots.listed(connection, machines)
        name = asked.name or _newest(found, machines)
        told = f"take {', '.join(machines)} back to {name}? What they wrote since then is lost"
        if not confirmed(told):
            output.note("nothing was done")
            return
        snapshots.require_revertible(connection, machines, name)
        if not by_a_run("revert", name, ""):
            snapshots.revert(
                connection, machines, name,
                told=lambda each: output.note(f"{each}: as it was at {name}"),
            )  # fmt: skip
        rows = [{"machine": each, "name": name, "state": _state(connection, each)}
                for each in machines]  # fmt: skip
    output.records(("machine", "name", "state"), rows, as_json=as_json)


def delete(words: Sequence[str], cluster: str, *, as_json: bool) -> None:
    asked = Asked.of(words, cluster)
    if not asked.name:
        raise UsageError("there is no snapshot to delete", hint="`ai-how snapshot list` names them")
    with _machines(asked) as (connection, machines, by_a_run):
        found = snapshots.listed(connection, machines)
        gone = [each.machine for each in found if each.name == asked.name]
        if gone and not by_a_run("delete", asked.name, ""):
            snapshots.delete(
                connection, machines, asked.name, told=lambda each: output.note(f"{each}: deleted")
            )
    if as_json:
        output.json_document([{"machine": each, "name": asked.name} for each in gone])
    elif not gone:
        output.note(f"there is no snapshot {asked.name} of {', '.join(machines)}")


@contextmanager
def _machines(asked: Asked) -> Iterator[tuple[Connection, list[str], ByARun]]:
    """A connection, the machines that are meant, of a cluster those that were made, and a run."""
    read = load_cluster_file()
    host = Host.of(read.platform.machines, read.clusters)
    with host.connected() as connection:
        if asked.machine:
            reach.known(connection, asked.machine, host.desired)
            names = [asked.machine]
        else:
            names = _of_cluster(connection, host, asked.cluster)

        def by_a_run(action: str, name: str, description: str) -> bool:
            return snapshot_runs.done(read.platform, host, action, names, name, description)

        yield connection, names, by_a_run


def _of_cluster(connection: Connection, host: Host, kind: str) -> list[str]:
    found = next((each for each in host.desired.clusters if each.kind == kind), None)
    if found is None:
        raise UsageError(f"the file has no {kind} cluster", hint=f"describe it: `clusters.{kind}`")
    names = [each.name for each in found.machines]
    there = [each for each in names if observation.domain(connection, each)]
    absent = ", ".join(each for each in names if each not in there)
    if not there:
        hint = f"`ai-how {kind} start` makes them"
        raise NeedsRepair("the host", f"find {absent}", "they were not made yet", hint=hint)
    if absent:
        output.note(f"left out, since not made yet: {absent}")
    return there


def _newest(found: Sequence[Kept], machines: Sequence[str]) -> str:
    if not found:
        hint = "`ai-how snapshot create` makes one"
        names = ", ".join(machines)
        raise UsageError(f"there are no snapshots of {names}", hint=hint)
    return max(found, key=lambda each: each.created).name


def _show(found: Sequence[Kept], *, as_json: bool) -> None:
    rows = [_row(each) for each in found]
    if not as_json:
        rows = [{**each, "current": "yes" if each["current"] else ""} for each in rows]
    output.records(COLUMNS, rows, as_json=as_json)


def _row(kept: Kept) -> dict[str, Any]:
    return {
        "machine": kept.machine,
        "name": kept.name,
        "state": "off" if kept.state == "shutoff" else kept.state,
        "created": kept.created.astimezone().isoformat(" ", "seconds"),
        "current": kept.is_current,
        "description": kept.description,
    }


def _state(connection: Connection, name: str) -> str:
    found = observation.domain(connection, name)
    return str(found.state) if found else "absent"
