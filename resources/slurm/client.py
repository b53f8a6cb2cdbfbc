"""One Slurm cluster: its nodes and jobs, closing a node and opening it, jobs to try it with."""

import re
import time
from collections.abc import Callable
from pathlib import Path

from resources.errors import DeadlineExceeded, TransientError, UsageError
from resources.slurm import parsing
from resources.slurm.command import Command
from resources.slurm.failures import SYSTEM, NotFound
from resources.slurm.records import Job, Node

#: Called while waiting, with the seconds since the beginning and what is waited for.
Progress = Callable[[float, str], None]

_POLL_SECONDS = 1.0
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")


class Slurm:
    """By its commands: here with a slurm.conf, or over SSH on `login` (`user@host`).

    Every method raises TransientError where the controller does not answer, else PermanentError.
    """

    def __init__(
        self,
        configuration: Path | None = None,
        *,
        login: str | None = None,
        timeout_seconds: float = 60.0,
    ) -> None:
        self._command = Command(configuration, login=login, timeout_seconds=timeout_seconds)

    def nodes(self) -> tuple[Node, ...]:
        """All nodes by name."""
        action = "list its nodes"
        said = self._command.run("sinfo", "--json", action=action)
        return parsing.nodes(parsing.document(said, action))

    def node(self, name: str) -> Node | None:
        """One node, None where there is none of that name."""
        return next((each for each in self.nodes() if each.name == name), None)

    def jobs(self) -> tuple[Job, ...]:
        """All jobs that it still knows by number; finished ones are forgotten after minutes."""
        action = "list its jobs"
        said = self._command.run("squeue", "--json", action=action)
        return parsing.jobs(parsing.document(said, action))

    def drain(self, name: str, reason: str) -> bool:
        """Close a node to new jobs; whether it was open. What runs on it goes on.

        Raises NotFound for a node that there is not.
        """
        action = f"drain {_named(name)}"
        if self._existing(name, action).takes_no_jobs:
            return False
        self._update(name, action, "State=DRAIN", f"Reason={reason}")
        return True

    def put_down(self, name: str, reason: str) -> None:
        """Tell that a node's machine is off, which Slurm would find out after minutes.

        What ran there is queued again, and once resumed the node is away until its slurmd answers.
        """
        action = f"put {_named(name)} down"
        self._existing(name, action)
        self._update(name, action, "State=DOWN", f"Reason={reason}")

    def resume(self, name: str) -> bool:
        """Open a node to jobs again; whether it was closed, or away and written off."""
        action = f"resume {_named(name)}"
        found = self._existing(name, action)
        if not found.takes_no_jobs and "DOWN" not in found.states:
            return False
        self._update(name, action, "State=RESUME")
        return True

    def wait_drained(
        self, name: str, *, timeout_seconds: float, progress: Progress | None = None
    ) -> None:
        """Until all jobs have left a closed node.

        Raises DeadlineExceeded naming the jobs that still run there.
        """
        self._wait(
            name, f"drain {name}", lambda node: node.is_drained,
            timeout_seconds=timeout_seconds, progress=progress,
        )  # fmt: skip

    def wait_ready(
        self, name: str, *, timeout_seconds: float, progress: Progress | None = None
    ) -> None:
        """Until jobs can start on a node: its slurmd has registered, and it is open."""
        self._wait(
            name, f"see {name} ready", lambda node: node.is_ready,
            timeout_seconds=timeout_seconds, progress=progress,
        )  # fmt: skip

    def submit(self, script: str, *, gpus: int = 0, name: str = "ai-how") -> int:
        """The number of a batch job that runs the shell script, its output thrown away."""
        asked = [f"--gres=gpu:{gpus}"] if gpus else []
        said = self._command.run(
            "sbatch", "--parsable", f"--job-name={name}", "--output=/dev/null", *asked,
            action="submit a job", text=f"#!/bin/sh\n{script}\n",
        )  # fmt: skip
        return int(said.split(";")[0])

    def cancel(self, number: int) -> None:
        """End a job, or take it from the queue; nothing happens where it has ended."""
        self._command.run("scancel", "--quiet", str(number), action=f"cancel the job {number}")

    def _update(self, name: str, action: str, *changes: str) -> None:
        self._command.run("scontrol", "update", f"NodeName={name}", *changes, action=action)

    def _existing(self, name: str, action: str) -> Node:
        found = self.node(name)
        if found is None:
            raise NotFound(SYSTEM, action, "there is no such node", hint="`sinfo -N` lists them")
        return found

    def _wait(
        self,
        name: str,
        action: str,
        holds: Callable[[Node], bool],
        *,
        timeout_seconds: float,
        progress: Progress | None,
    ) -> None:
        began = time.monotonic()
        said = "nothing was heard of it"
        while True:
            passed = time.monotonic() - began
            try:
                node = self._existing(name, action)
                if holds(node):
                    return
                said = self._why(node)
            except TransientError as error:
                # A controller that is started again answers after some seconds.
                said = error.reason
            if progress is not None:
                progress(passed, said)
            if passed > timeout_seconds:
                reason = f"{said}, after {timeout_seconds:g} s"
                raise DeadlineExceeded(SYSTEM, action, reason, hint=_hint(name))
            time.sleep(min(_POLL_SECONDS, max(0.05, timeout_seconds - passed)))

    def _why(self, node: Node) -> str:
        state = "+".join(sorted(node.states)).lower()
        there = [each for each in self.jobs() if each.is_running and _is_on(each, node.name)]
        told = ", ".join(f"{each.number} ({each.name}, {each.user})" for each in there)
        return f"it is {state}" + (f" with the jobs {told}" if told else "")


def _hint(name: str) -> str:
    return f"`squeue -w {name}` lists its jobs; cancel them (`scancel`), or wait longer"


def _is_on(job: Job, node: str) -> bool:
    """Whether a list such as `node-[01-04],gpu-1` has the node."""
    for prefix, ranges in re.findall(r"([^,\[]+)(?:\[([^\]]*)\])?,?", job.nodes):
        if not ranges and prefix == node:
            return True
        for each in filter(None, ranges.split(",")):
            first, _, last = each.partition("-")
            number = node.removeprefix(prefix)
            inside = node.startswith(prefix) and number.isdigit() and len(number) == len(first)
            if inside and int(first) <= int(number) <= int(last or first):
                return True
    return False


def _named(name: str) -> str:
    """The name. Raises UsageError where Slurm would take it for several, or for an option."""
    if not _NAME.match(name):
        raise UsageError(
            f"`{name}` is not the name of one Slurm node", hint="`sinfo -N` lists them"
        )
    return name
