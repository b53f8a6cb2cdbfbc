"""Carrying a switch out over ports: on any failure the former owner is put back, and told what was.

Killed in between, the same switch again goes on from what it finds; what was shut down for it is
noted there, so that a failure then puts it back, too.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Literal

from cloud_assets.machines.gpus.ports import Machines, Nodes, Say
from cloud_assets.machines.gpus.switch import SYSTEM, Former, Step, Switch
from resources.errors import AiHowError, DeadlineExceeded, NeedsRepair

_POLL_SECONDS = 0.2
Outcome = Literal["done", "skipped", "failed", "forced"]
#: What a person may do about a node that does not become empty.
_OR = "`--drain-seconds` waits longer, `--force` goes on though work is lost"


@dataclass(frozen=True)
class Record:
    """What became of a step, and how long it took."""

    action: str
    machine: str
    outcome: Outcome
    seconds: float
    text: str


@dataclass(frozen=True)
class Ports:
    """The world of a switch; `nodes` by the kind of cluster, none where there is no scheduler."""

    machines: Machines
    nodes: Mapping[str, Nodes]
    release_seconds: float = 30.0


class SwitchFailed(NeedsRepair):
    """A switch that did not come about; `records` say what was done and undone."""

    def __init__(self, switch: Switch, error: AiHowError, records: tuple[Record, ...]) -> None:
        broken = [each for each in records if each.action == "put back" and each.outcome != "done"]
        owners = switch.givers or tuple(each.machine for each in switch.owed)
        back = "the former owner is back"
        if broken:
            back = "not all was put back: " + "; ".join(each.text for each in broken)
        elif not owners:
            starts = any(each.action == "start" for each in switch.steps)
            back = "nobody had it before" if starts else f"{switch.taker} has it all the same"
        hint = error.hint
        if any((each.action, each.outcome) == ("drain", "failed") for each in records):
            hint = f"{hint}; {_OR}" if hint else _OR
        if broken:
            to = (*owners, switch.taker)[0]
            hint = f"`ai-how gpu switch {switch.gpu} --to {to}` once that is mended"
        super().__init__(
            SYSTEM, f"give {switch.gpu} to {switch.taker}", f"{error}; {back}", hint=hint
        )
        self.records = records


@dataclass
class _Run:
    """One execution; `undo` runs backwards whatever ends it, unless all went well."""

    switch: Switch
    ports: Ports
    say: Say
    because: str
    force: bool
    undo: ExitStack
    records: list[Record] = field(default_factory=list)

    def take(self, step: Step) -> None:
        began = time.monotonic()
        if step.skipped:
            self._record(step, "skipped", began, step.skipped)
            return
        self.say(step.text)
        self._prepare_undo(step)
        try:
            getattr(self, f"_{step.action}")(step)
        except AiHowError as error:
            if not (self.force and step.action == "drain"):
                self._record(step, "failed", began, str(error))
                raise
            self.say(f"going on all the same: {error}")
            self._record(step, "forced", began, str(error))
        else:
            self._record(step, "done", began, step.text)

    def owe(self, former: Former) -> None:
        """Have what a killed switch left off started again, unless all goes well."""
        machine, nodes = former.machine, self.ports.nodes.get(former.kind)
        if former.node and nodes is not None:
            self._back(machine, f"open {former.node} to work", lambda: nodes.admit(former.node))
        self._back(machine, f"start {machine}", lambda: self.ports.machines.start(machine))

    def settle(self) -> None:
        """All went well: what is off now is so for good."""
        self.undo.pop_all()
        for machine in (*self.switch.givers, *(each.machine for each in self.switch.formers)):
            try:
                self.ports.machines.forget(machine)
            except AiHowError as error:
                self.say(f"a note stays at {machine}: {error}")

    def _record(self, step: Step, outcome: Outcome, began: float, text: str) -> None:
        seconds = time.monotonic() - began
        self.records.append(Record(step.action, step.machine, outcome, seconds, text))
        if outcome == "skipped":
            self.say(f"left out: {step.text} ({text})")

    def _prepare_undo(self, step: Step) -> None:
        """Before the step, as a step that failed may have done a part of it."""
        machines, machine = self.ports.machines, step.machine
        if step.action == "drain":
            nodes = self.ports.nodes[step.kind or ""]
            self._back(machine, f"open {step.node} to work", lambda: nodes.admit(step.node))
        elif step.action == "stop":
            self._back(machine, f"start {machine}", lambda: machines.start(machine))
        elif step.action == "start":
            self._back(machine, f"stop {machine}", lambda: self._withdraw(step))

    def _back(self, machine: str, text: str, act: Callable[[], None]) -> None:
        self.undo.callback(self._put_back, machine, text, act)

    def _put_back(self, machine: str, text: str, act: Callable[[], None]) -> None:
        """One error must not keep the rest from being put back."""
        began = time.monotonic()
        self.say(f"putting back: {text}")
        outcome: Outcome = "done"
        try:
            act()
        except AiHowError as error:
            outcome, text = "failed", f"{text}: {error}"
        seconds = time.monotonic() - began
        self.records.append(Record("put back", machine, outcome, seconds, text))

    def _withdraw(self, start: Step) -> None:
        self.ports.machines.stop(start.machine, self.say)
        self._until_free(start.devices)

    def _drain(self, step: Step) -> None:
        self.ports.nodes[step.kind or ""].empty(step.node, self.because, self.say)

    def _stop(self, step: Step) -> None:
        self.ports.machines.note(step.machine, self.switch.gpu, self.switch.taker)
        self.ports.machines.stop(step.machine, self.say)
        if step.node:
            self.ports.nodes[step.kind or ""].leave(step.node, self.because)

    def _release(self, step: Step) -> None:
        self._until_free(step.devices)

    def _start(self, step: Step) -> None:
        self.ports.machines.start(step.machine)
        holder = self.ports.machines.holder(self.switch.gpu)
        if holder != step.machine:
            reason = f"it runs without the GPU, which {holder or 'nobody'} has"
            raise NeedsRepair(SYSTEM, f"start {step.machine}", reason,
                              hint=f"make {step.machine} anew, as the file says")  # fmt: skip

    def _ready(self, step: Step) -> None:
        nodes = self.ports.nodes[step.kind or ""]
        # Its kubelet or slurmd finds it closed where it was drained at an earlier switch.
        nodes.admit(step.node)
        nodes.wait_ready(step.node, self.say)

    def _until_free(self, devices: tuple[str, ...]) -> None:
        began = time.monotonic()
        while held := self._held(devices):
            if time.monotonic() - began > self.ports.release_seconds:
                told = ", ".join(f"{device} by {who}" for device, who in held.items())
                reason = f"still held after {self.ports.release_seconds:g} s: {told}"
                raise DeadlineExceeded(SYSTEM, "see the GPU free", reason, hint="`ai-how gpu list`")
            time.sleep(_POLL_SECONDS)

    def _held(self, devices: tuple[str, ...]) -> dict[str, str]:
        found = ((each, self.ports.machines.holder(each)) for each in devices)
        return {device: who for device, who in found if who is not None}


def execute(
    switch: Switch, ports: Ports, *, because: str, say: Say, force: bool = False
) -> tuple[Record, ...]:
    """Take the steps. `because` is written on nodes that are closed; `force` cuts their work off.

    Raises SwitchFailed once the former owner was put back. What ends the process itself, such as
    an interrupt, puts it back too and goes on.
    """
    with ExitStack() as undo:
        run = _Run(switch, ports, say, because, force, undo)
        for former in switch.owed:
            run.owe(former)
        try:
            for step in switch.steps:
                run.take(step)
        except AiHowError as error:
            undo.close()
            raise SwitchFailed(switch, error, tuple(run.records)) from error
        run.settle()
        return tuple(run.records)
