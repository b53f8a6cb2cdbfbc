"""Does what is asked of machines' power, wave by wave; may be killed and asked for again.

What a scheduler has to do with it is `emptying`'s business, one machine's power `lifecycle`'s.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

from cloud_assets.machines.applying import lifecycle, teardown
from cloud_assets.machines.applying.outage import outlasting
from cloud_assets.machines.applying.progress import Listener, Step, nobody
from cloud_assets.machines.converge import Result
from cloud_assets.machines.desired import Cluster, Machine
from cloud_assets.machines.host import Host
from cloud_assets.machines.power.emptying import empty, open_again
from cloud_assets.machines.power.request import Action, Request, Wave, cluster_of, waves
from cloud_assets.machines.power.schedulers import Schedulers
from resources.errors import AiHowError, PermanentError
from resources.libvirt import Connection, observation, observe

#: How long a scheduler may take to answer once its machines have booted.
ANSWER_SECONDS = 60.0
_AT_ONCE = 16


@dataclass(frozen=True)
class Record:
    """What became of a machine, a pool or a network, and how long it took."""

    machine: str
    action: str
    outcome: Literal["done", "as it was", "failed"]
    seconds: float
    text: str = ""


@dataclass(frozen=True)
class Outcome:
    """`left` are pods that did not end, each with why; `logs` is where consoles are kept, or ""."""

    records: tuple[Record, ...]
    left: Mapping[str, str] = field(default_factory=dict)
    logs: str = ""

    def document(self) -> dict[str, Any]:
        """As plain values, for whoever asked by a run."""
        records = [asdict(each) for each in self.records]
        return {"machines": records, "left": dict(self.left), "logs": self.logs}


def _not_kept(_: Record) -> None:
    """Where nobody keeps what became of each."""


@dataclass(frozen=True)
class Ground:
    """Where it is done, and who is told; `kept` is called by one thread, `told` by several."""

    host: Host
    schedulers: Schedulers
    logs: Path
    told: Listener = nobody
    kept: Callable[[Record], None] = _not_kept


def carry_out(request: Request, ground: Ground) -> Outcome:
    """All of it. Raises UsageError for nonsense, NotFound for a machine that there is not.

    Where one machine fails the others of its wave go on, and its error is raised after that.
    """
    cluster = cluster_of(request, ground.host.desired)
    with ground.host.connected() as connection:
        if cluster is not None and request.action is Action.destroy:
            return _destroyed(connection, cluster, ground)
        for name in request.machines:
            lifecycle.found(connection, name)
        return _switched(connection, request, cluster, ground)


def running(connection: Connection, cluster: Cluster) -> list[Machine]:
    """The machines of the cluster that are on. A libvirtd that starts anew is waited for."""
    found = (
        (each, outlasting(partial(observation.domain, connection, each.name)))
        for each in cluster.machines
    )
    return [each for each, domain in found if domain is not None and domain.is_active]


def patience_after(results: Sequence[Result]) -> float:
    """How long a scheduler has to answer: it may boot, too, where a machine was started."""
    return ANSWER_SECONDS if any(each.change.starts for each in results) else 0.0


def _switched(
    connection: Connection, request: Request, cluster: Cluster | None, ground: Ground
) -> Outcome:
    seen = observe(connection)
    ours = {each.name for each in seen.domains if lifecycle.is_ours(each)}
    active = {each.name for each in seen.domains if each.is_active} & ours
    left: Mapping[str, str] = {}
    records: list[Record] = []
    with ExitStack() as undo:
        if cluster is not None and request.empties and request.action is not Action.start:
            undo.callback(_reopen, connection, cluster, ground)
            running = [each for each in cluster.machines if each.name in active]
            left = empty(cluster, running, ground.schedulers,
                         because=request.because, told=ground.told)  # fmt: skip
        for wave in waves(request, cluster, ours, active):
            records += _taken(connection, request, wave, ground)
        undo.pop_all()
    started = {each.machine for each in records if each.action == "start"}
    for each in ground.host.desired.clusters:
        machines = [one for one in each.machines if one.name in started]
        _open(each, machines, ground, ANSWER_SECONDS if request.wait else 0.0)
    return Outcome(tuple(records), left)


def _taken(connection: Connection, request: Request, wave: Wave, ground: Ground) -> list[Record]:
    act = partial(_one, connection, request, wave.action, ground)
    with ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="machine") as pool:
        found = list(pool.map(act, wave.machines))
    for record, _ in found:
        ground.kept(record)
    _require_success([(record, error) for record, error in found if error is not None])
    return [record for record, _ in found]


def _one(
    connection: Connection, request: Request, action: str, ground: Ground, name: str
) -> tuple[Record, AiHowError | None]:
    settings, began = ground.host.settings, time.monotonic()
    try:
        if action == "stop":
            changed = lifecycle.stop(
                connection, name, patience=settings.shutdown_timeout_seconds,
                force=request.force, told=ground.told,
            )  # fmt: skip
        else:
            patience = settings.boot_timeout_seconds if request.wait else None
            changed = lifecycle.start(connection, name, patience=patience, told=ground.told)
    except AiHowError as error:
        ground.told(Step(name, "failed", str(error)))
        failed = Record(name, action, "failed", time.monotonic() - began, str(error))
        return failed, error
    ground.told(Step(name, "done", "" if changed else "it was so already"))
    outcome: Literal["done", "as it was"] = "done" if changed else "as it was"
    return Record(name, action, outcome, time.monotonic() - began), None


def _require_success(failed: Sequence[tuple[Record, AiHowError]]) -> None:
    """Raises the error of the first, with the names of the others."""
    if not failed:
        return
    record, error = failed[0]
    others = ", ".join(each.machine for each, _ in failed[1:])
    if not others:
        raise error
    action = f"{record.action} {record.machine}"
    raise PermanentError("the host", action, str(error), hint=f"{others} failed, too") from error


def _reopen(connection: Connection, cluster: Cluster, ground: Ground) -> None:
    """The nodes of machines that still run, where something kept them from going off."""
    _open(cluster, running(connection, cluster), ground, 0.0)


def _open(cluster: Cluster, machines: Sequence[Machine], ground: Ground, patience: float) -> None:
    open_again(cluster, machines, ground.schedulers, patience=patience, told=ground.told)


def _destroyed(connection: Connection, cluster: Cluster, ground: Ground) -> Outcome:
    began = time.monotonic()
    moment = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    logs = ground.logs / f"{cluster.name}-destroyed-{moment}"
    gone = teardown.destroy(connection, cluster, logs=logs, told=ground.told)
    seconds = time.monotonic() - began
    records = tuple(Record(each, "destroy", "done", seconds) for each in gone)
    for each in records:
        ground.kept(each)
    if logs.exists():
        ground.told(Step(cluster.name, "done", f"consoles are kept in {logs}"))
    return Outcome(records, logs=str(logs) if logs.exists() else "")
