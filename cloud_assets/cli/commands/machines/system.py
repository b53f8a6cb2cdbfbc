"""`system`: both clusters as one, HPC before cloud, and back the other way round."""

import getpass
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cloud_assets.cli import output
from cloud_assets.cli.commands.machines import clusters, shown
from cloud_assets.cli.commands.machines.clusters import Target
from cloud_assets.cli.commands.machines.recorded import Asked, power
from cloud_assets.machines.planning.machines import CRASHED
from cloud_assets.machines.power import before, system
from cloud_assets.machines.power.before import Unfinished
from cloud_assets.machines.power.request import Action, Request
from cloud_assets.machines.power.standing import Seen, Standing, of_cluster, of_system
from cloud_assets.stages import SYSTEM_JOB, SYSTEM_STEP
from resources.errors import ExternalError, UsageError
from resources.libvirt import Observation, observe


def start(path: Path | None, *, preflight: bool, reason: str, as_json: bool) -> None:
    """HPC, then cloud; where one fails, what was off before is off again."""
    found = _targets(path, reason)
    first = found[0]
    with first.host.connected() as connection:
        plan = first.host.plan(connection)
        pending = [one for each in found for one in clusters.told_pending(each, plan)]
        if preflight:
            from cloud_assets.cli.commands.machines.preflight import require

            require(first.read, pending)
        is_left = _tell_unfinished(first)
        if not ((is_left or clusters.is_to_be_done(pending)) and _by_a_run(first)):
            _here(first)
        for each in found:
            clusters.tell_nodes(each)
        status(path, as_json=as_json)


def stop(path: Path | None, *, force: bool, drain: bool, reason: str, as_json: bool) -> None:
    """Cloud, then HPC."""
    found, done = _targets(path, reason), {}
    _tell_unfinished(found[0])
    for each in reversed(found):
        kind = each.cluster.kind
        request = Request(Action.stop, cluster=kind, force=force, drain=drain)
        done[each.cluster.name] = power(each.asked, each.read, request)
        if not as_json:
            output.line(f"{each.cluster.name}: {clusters.stopped(done[each.cluster.name])}")
    _settle(found[0])
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
    _settle(found[0])
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


def _by_a_run(found: Target) -> bool:
    """Whether a run has started all; False where there is no platform to run it."""
    config = {"requested_by": getpass.getuser(), "reason": found.asked.reason}
    ended = found.asked.by_a_run(
        found.read.platform, SYSTEM_JOB, {"ops": {SYSTEM_STEP: {"config": config}}},
        action="start the system",
    )  # fmt: skip
    return ended is not None


def _here(found: Target) -> None:
    try:
        system.start(found.ground, found.read.platform.home)
    except KeyboardInterrupt:
        output.note("what was started stays on; `ai-how system status` says what was off before")
        raise


def _unfinished(found: Target) -> Unfinished | None:
    return before.unfinished(found.read.platform.home, found.host.settings.uri)


def _tell_unfinished(found: Target) -> bool:
    """Whether there is a start that is not over, which the person is told."""
    left = _unfinished(found)
    if left is not None:
        output.note(_sentence(left))
    return left is not None


def _sentence(left: Unfinished) -> str:
    off = ", ".join(sorted(left.before.off)) or "nothing"
    if left.is_under_way:
        return f"a `system start` is under way since {left.before.since}; off before it: {off}"
    return (
        f"a `system start` of {left.before.since} did not come to its end; off before it: {off}; "
        "`ai-how system start` goes on with it and puts them back where it fails, "
        "`ai-how system stop` stops all"
    )


def _settle(found: Target) -> None:
    """All is off: nothing is left to be put back, unless somebody starts it this moment."""
    left = _unfinished(found)
    if left is not None and not left.is_under_way:
        before.forget(found.read.platform.home)


def _document(found: Sequence[Target]) -> dict[str, Any]:
    if not found:
        return {"state": Standing.NOT_CONFIGURED.value, "clusters": [], "gpus": []}
    left = _unfinished(found[0])
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
        "unfinished_start": _described(left) if left else None,
    }


def _described(left: Unfinished) -> dict[str, Any]:
    return {
        "since": left.before.since,
        "under_way": left.is_under_way,
        "off_before": sorted(left.before.off),
        "told": _sentence(left),
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
    if document.get("unfinished_start"):
        output.line(document["unfinished_start"]["told"])
