"""`system`: both clusters as one, HPC before cloud, and back the other way round."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloud_assets.cli import output
from cloud_assets.cli.commands.machines import clusters, shown
from cloud_assets.cli.commands.machines.clusters import Target
from cloud_assets.cli.commands.machines.recorded import Asked, power
from cloud_assets.machines.plan import Options
from cloud_assets.machines.planning.machines import CRASHED
from cloud_assets.machines.power.request import Action, Request
from cloud_assets.machines.power.standing import Seen, Standing, of_cluster, of_system
from resources.errors import AiHowError, ExternalError, NeedsRepair, UsageError
from resources.libvirt import Connection, Observation, observe


def start(path: Path | None, *, reason: str, as_json: bool) -> None:
    """HPC, then cloud; where one fails, what was off before is off again."""
    found = _targets(path, reason)
    with found[0].host.connected() as connection:
        before = _active(connection, found)
        for each in found:
            try:
                clusters.bring_up(connection, each, Options())
            except AiHowError as error:
                raise _put_back(connection, found, before, error) from error
        status(path, as_json=as_json)


def stop(path: Path | None, *, force: bool, drain: bool, reason: str, as_json: bool) -> None:
    """Cloud, then HPC."""
    done = {}
    for each in reversed(_targets(path, reason)):
        kind = each.cluster.kind
        request = Request(Action.stop, cluster=kind, force=force, drain=drain)
        done[each.cluster.name] = power(each.asked, each.read, request)
        if not as_json:
            output.line(f"{each.cluster.name}: {clusters.stopped(done[each.cluster.name])}")
    if as_json:
        output.json_document({"done": "stopped", "clusters": done})


def destroy(
    path: Path | None, *, confirmed: Callable[[str], bool], reason: str, as_json: bool
) -> None:
    """Cloud, then HPC. `confirmed` is asked with a sentence first."""
    found = _targets(path, reason)
    if not confirmed(clusters.question(found)):
        output.note("nothing was done")
        return
    done = {}
    for each in reversed(found):
        done[each.cluster.name] = clusters.take_down(each)
        if not as_json:
            output.line(clusters.destroyed(each, done[each.cluster.name]))
    if as_json:
        output.json_document({"done": "destroyed", "clusters": done})


def status(path: Path | None, *, as_json: bool) -> None:
    """How the whole, its clusters, their machines and GPUs stand."""
    found = clusters.targets(Asked(path))
    try:
        document = _document(found)
    except ExternalError as error:
        if as_json:
            output.json_document(
                {"state": Standing.ERROR.value, "why": str(error), "clusters": [], "gpus": []}
            )
        else:
            output.line(f"system: {Standing.ERROR.value}")
        raise
    if as_json:
        output.json_document(document)
    else:
        _print(document)


def _targets(path: Path | None, reason: str) -> list[Target]:
    found = list(clusters.targets(Asked(path, reason)))
    if not found:
        raise UsageError("the file has no clusters", hint="describe them: `clusters`")
    return found


def _active(connection: Connection, found: Sequence[Target]) -> set[str]:
    seen = observe(connection)
    names = {one.name for each in found for one in each.cluster.machines}
    return {each.name for each in seen.domains if each.is_active} & names


def _put_back(
    connection: Connection, found: Sequence[Target], before: set[str], error: AiHowError
) -> NeedsRepair:
    """What was off before is off again; what was made stays as it is."""
    asked = replace(found[0].asked, reason=f"`system start` failed: {error}")
    try:
        started = sorted(_active(connection, found) - before)
        if started:
            output.note(f"putting back: stop {', '.join(started)}")
            power(asked, found[0].read, Request(Action.stop, tuple(started)))
        back = f"off again: {', '.join(started)}" if started else "nothing else was started"
    except AiHowError as problem:
        back = f"not all was put back: {problem}"
    return NeedsRepair("the system", "start", f"{error}; {back}", hint=error.hint)


def _document(found: Sequence[Target]) -> dict[str, Any]:
    if not found:
        return {"state": Standing.NOT_CONFIGURED.value, "clusters": [], "gpus": []}
    with found[0].host.connected() as connection:
        seen = observe(connection)
        told = [_cluster(each, seen) for each in found]
        for each, one in zip(found, told, strict=True):
            nodes = shown.look(each.cluster, each.read.platform)
            one["nodes"] = str(nodes)
            one["machines"] = shown.rows(connection, each.cluster, seen, nodes)
    return {
        "state": of_system(Standing(each["state"]) for each in told).value,
        "clusters": told,
        "gpus": _gpus(found, seen),
    }


def _cluster(found: Target, seen: Observation) -> dict[str, Any]:
    domains = ((each, seen.domain(each.name)) for each in found.cluster.machines)
    machines = [
        Seen(each.auto_start, one.state, one.reason == CRASHED and not one.is_active)
        if one else Seen(each.auto_start, None)
        for each, one in domains
    ]  # fmt: skip
    cluster = found.cluster
    return {
        "cluster": cluster.name, "kind": cluster.kind, "state": of_cluster(machines).value
    }  # fmt: skip


def _gpus(found: Sequence[Target], seen: Observation) -> list[dict[str, Any]]:
    """Those of the file, with who wants each; several can have it one at a time."""
    desired = found[0].host.desired
    owned = shown.owners(desired.machines, seen)
    wanted = desired.users()
    return [
        {
            "gpu": gpu,
            "owner": owner,
            "wanted_by": [each.name for each in wanted[gpu]],
            "shared": len(wanted[gpu]) > 1,
        }
        for gpu, owner in sorted(owned.items())
    ]


def _print(document: Mapping[str, Any]) -> None:
    output.line(f"system: {document['state']}")
    for each in document["clusters"]:
        output.line(f"{each['cluster']}: {each['state']}; {each['nodes']}")
    rows = [row for each in document["clusters"] for row in each["machines"]]
    if rows:
        output.records(shown.COLUMNS, rows, as_json=False)
    for each in document["gpus"]:
        shared = f", shared by {', '.join(each['wanted_by'])}" if each["shared"] else ""
        output.line(f"GPU {each['gpu']}: {each['owner'] or 'free'}{shared}")
