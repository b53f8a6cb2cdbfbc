"""The embedded serving backend: model servers as supervised processes behind the gateway.

What a slot serves is read back from its program, what an endpoint has from the gateway's routes;
there is no other state. How one slot is looked at is `slot_probe`'s business.
"""

import logging
import shutil
import time
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

from resources import atomic
from resources.errors import DeadlineExceeded, PermanentError, TransientError
from resources.gateway import routes as gateway_routes
from resources.ports import free_ports
from resources.process_serving import slot_program
from resources.process_serving.model_cache import Fetch, ModelCache
from resources.process_serving.runtimes import RUNTIMES, Launch, Runtime
from resources.process_serving.slot_probe import SlotProbe
from resources.process_serving.slot_program import SlotRecord
from resources.process_serving.slot_wait import PortTaken, SlotWait
from resources.serving import (
    OnWait,
    Route,
    Servable,
    Served,
    Slot,
    SlotState,
    refuse_unservable,
    require_runtime,
    unheard,
)
from resources.supervisor import ProgramState, Supervisor

_PORT_ATTEMPTS = 4

_log = logging.getLogger(__name__)


class ProcessServing:
    """`resources.serving.ServingBackend` on one machine, under the home's running supervisord."""

    def __init__(
        self,
        home: Path,
        *,
        supervisor: Supervisor | None = None,
        runtimes: Mapping[str, Runtime] = RUNTIMES,
        fetch: Fetch | None = None,
    ) -> None:
        self.home = home.resolve()
        self.routes_path = self.home / "gateway" / "routes.json"
        self._supervisor = supervisor or Supervisor(self.home)
        self._runtimes = runtimes
        self._cache = ModelCache(self.home / "cache", fetch)

    def serve(
        self, servable: Servable, *, timeout_seconds: float, on_wait: OnWait = unheard
    ) -> Served:
        """See `ServingBackend.serve`; a slot that did not come up is taken away again.

        The phases are `spawn`, `health` and `first_completion`; a slot that was up has the last.
        Nothing but its own start is ever waited for here, so `on_wait` is told nothing.
        """
        deadline = time.monotonic() + timeout_seconds
        name = slot_program.slot_name(servable)
        refuse_unservable(
            servable, {name: each.takes_adapters for name, each in self._runtimes.items()}
        )
        with self._locked(name, timeout_seconds):
            return self._reuse(name, servable, deadline) or self._serve_anew(servable, deadline)

    def slots(self) -> tuple[Slot, ...]:
        records = self._records()
        processes = self._processes()
        with ThreadPoolExecutor(max_workers=max(1, len(records))) as pool:
            looks = pool.map(
                lambda record: self._probe(record).look(processes.get(record.name)),
                [records[name] for name in sorted(records)],
            )
            return tuple(looks)

    def release(self, slot_name: str, *, confirm: bool = True) -> bool:
        record = self._records().get(slot_name)
        if record is None:
            return False
        with self._locked(slot_name, 60):
            known = self._discard(record)
            self._forget_log(slot_name)
            self._drop_unused(record.servable)
        return known

    def exclusive(self, endpoint: str) -> AbstractContextManager[None]:
        return self._locked(f"endpoint-{endpoint}", 60)

    def routes(self) -> Mapping[str, Route]:
        table = gateway_routes.read(self.routes_path)
        return {endpoint: entry.route for endpoint, entry in table.items()}

    def route(self, endpoint: str, route: Route | None) -> None:
        gateway_routes.put(self.routes_path, endpoint, route)

    def _reuse(self, name: str, servable: Servable, deadline: float) -> Served | None:
        """The slot that is there already, once it answers; None where a new one is needed."""
        record = self._records().get(name)
        if record is None:
            return None
        slot = self._look(record)
        if record.servable != servable or slot.state is SlotState.FAILED:
            self._discard(record)
            return None
        if slot.state is SlotState.READY:
            return self._ask_again(record, deadline)
        try:
            phases = self._await(record, deadline=deadline, began=time.monotonic())
        except PortTaken:
            return None
        return Served(self._look(record), phases)

    def _ask_again(self, record: SlotRecord, deadline: float) -> Served | None:
        """The slot that was up, once it answered; one that is merely slow is never taken away."""
        wait = SlotWait(self._probe(record), deadline=deadline, began=time.monotonic())
        try:
            phases = wait.phases()
        except DeadlineExceeded:
            raise
        except (PermanentError, PortTaken):
            self._discard(record)
            return None
        phases = {"first_completion": phases["first_completion"]}
        return Served(self._look(record), phases, reused=True)

    def _serve_anew(self, servable: Servable, deadline: float) -> Served:
        for _ in range(_PORT_ATTEMPTS):
            record = SlotRecord(servable, free_ports(1)[0])
            launch = self._launch(record, deadline)
            began = time.monotonic()
            self._run(record, launch)
            try:
                phases = self._await(record, deadline=deadline, began=began)
            except PortTaken:
                _log.info("port %d was taken meanwhile", record.port)
            else:
                return Served(self._look(record), phases)
        raise TransientError("the serving backend", f"serve {servable.key}", "no port stayed free")

    def _launch(self, record: SlotRecord, deadline: float) -> Launch:
        """What the server is started with, once all of it is on this machine."""
        servable = record.servable
        left = max(1.0, deadline - time.monotonic())
        model = self._cache.directory(servable.location, timeout_seconds=left)
        if servable.base_location is None:
            return Launch(servable.name, model, record.port)
        base = self._cache.directory(servable.base_location, timeout_seconds=left)
        return Launch(servable.name, base, record.port, adapter=model)

    def _run(self, record: SlotRecord, launch: Launch) -> None:
        directory = self._directory(record.name)
        try:
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(mode=0o700, parents=True)
            (directory / launch.name).symlink_to(launch.directory, target_is_directory=True)
        except OSError as error:
            raise PermanentError("the platform", f"use {directory}", str(error)) from error
        self._forget_log(record.name)
        runtime = self._runtime(record.servable)
        self._supervisor.add(slot_program.program(record, runtime, launch, directory=directory))

    def _await(self, record: SlotRecord, *, deadline: float, began: float) -> dict[str, float]:
        """The phases of the start; a slot that does not make it is taken away."""
        try:
            return SlotWait(self._probe(record), deadline=deadline, began=began).phases()
        except PortTaken:
            self._discard(record)
            raise
        except (TransientError, DeadlineExceeded):
            # What was fetched is kept, since it will be tried again.
            self._discard(record)
            raise
        except PermanentError:
            self._discard(record)
            self._drop_unused(record.servable)
            raise

    def _discard(self, record: SlotRecord) -> bool:
        known = self._supervisor.remove(record.name)
        shutil.rmtree(self._directory(record.name), ignore_errors=True)
        return known

    def _drop_unused(self, servable: Servable) -> None:
        used = [record.servable for record in self._records().values()]
        kept = {each.location for each in used} | {each.base_location for each in used}
        for location in (servable.location, servable.base_location):
            if location is not None and location not in kept:
                self._cache.drop(location)

    def _forget_log(self, name: str) -> None:
        log = self._supervisor.log(name)
        for path in (log, *log.parent.glob(f"{log.name}.[0-9]")):
            path.unlink(missing_ok=True)

    def _look(self, record: SlotRecord) -> Slot:
        probe = self._probe(record)
        return probe.look(probe.process())

    def _probe(self, record: SlotRecord) -> SlotProbe:
        return SlotProbe(self._supervisor, self._runtime(record.servable), record)

    def _runtime(self, servable: Servable) -> Runtime:
        require_runtime(servable, self._runtimes)
        return self._runtimes[servable.runtime]

    def _records(self) -> dict[str, SlotRecord]:
        found = map(slot_program.read_record, self._supervisor.configured().values())
        return {record.name: record for record in found if record is not None}

    def _processes(self) -> dict[str, ProgramState]:
        return {process.name: process for process in self._supervisor.programs()}

    def _directory(self, name: str) -> Path:
        return self.home / "slots" / name

    def _locked(self, name: str, timeout_seconds: float) -> AbstractContextManager[None]:
        # A few lock files for all slots ever, so that none has to be removed.
        path = self.home / "run" / f"serve-{zlib.crc32(name.encode()) % 16}.lock"
        return atomic.locked(path, timeout_seconds=timeout_seconds)
