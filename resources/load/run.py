"""Runs a load test in a child process and reads what it measured; the child is `locust_client`.

Locust patches the process that imports it, so it never enters ours.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from resources.errors import PermanentError, TransientError
from resources.load.rows import RequestRow, from_object, read_lines

SYSTEM = "the load test client"
# Exit code of a child that could not use its plan.
BAD_PLAN = 2
# What a child may need of our environment; everything else, credentials first, stays here.
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
              # Set while the tests' coverage is measured.
              "COVERAGE_PROCESS_CONFIG")  # fmt: skip
_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class PlannedRequest:
    """One request: seconds after the start at which to send it, its phase, which prompt."""

    offset: float
    phase: str
    prompt: int


@dataclass(frozen=True)
class LoadPlan:
    """Everything the client needs. `url` is the base of the API, without `/v1`.

    Each prompt is `{"prompt": text}` or `{"messages": [...]}` and goes into the request's body as
    it is, `extra` (such as `ignore_eos`) as well. `timeout_seconds` bounds one request from its
    send to its last byte. `concurrency` is how many may be open at once; further ones wait for a
    free place, and the wait counts as send lag, which makes the run invalid long before it
    flatters anyone. `fresh` gives each request a `cache_salt`, so that vLLM takes no prompt for one
    that it has seen. `start_at` is the Unix time of offset 0 where several clients share a load; a
    client that is not ready by then ends without a request.
    """

    url: str
    model: str
    prompts: tuple[Mapping[str, Any], ...]
    requests: tuple[PlannedRequest, ...]
    max_tokens: int
    stream: bool = True
    timeout_seconds: float = 30.0
    concurrency: int = 4096
    extra: Mapping[str, Any] = field(default_factory=dict)
    fresh: bool = False
    start_at: float | None = None

    @property
    def longest_seconds(self) -> float:
        """Until the last answer of the slowest run, with half a minute for the client's start."""
        last = max((request.offset for request in self.requests), default=0.0)
        return last + self.timeout_seconds + 30.0

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), "utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """The plan that `write` wrote."""
        found = json.loads(path.read_text("utf-8"))
        requests = tuple(PlannedRequest(**request) for request in found["requests"])
        return cls(**{**found, "prompts": tuple(found["prompts"]), "requests": requests})


@dataclass(frozen=True)
class ClientFacts:
    """How the client itself fared: whether it can be believed.

    `started_at` is Unix time of offset 0. `cpu_share` is CPU time by wall time from the start to
    the last send, of one core: the client is one thread, 1.0 is saturated. Lags are seconds over
    all rows. `locust_p50` and `locust_p95` are Locust's own response times in seconds, which for a
    streamed answer end at the headers and start at the actual send: a cross-check, not a result.
    """

    started_at: float
    wall_seconds: float
    cpu_share: float
    lag_p50: float
    lag_p99: float
    locust_version: str
    locust_requests: int
    locust_p50: float
    locust_p95: float


@dataclass(frozen=True)
class LoadResult:
    """The rows in the order of the plan, how many were planned, and the client's facts."""

    rows: tuple[RequestRow, ...]
    scheduled: int
    client: ClientFacts


def run_load(
    plan: LoadPlan,
    *,
    work_directory: Path,
    timeout_seconds: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LoadResult:
    """Run `plan` and return what was measured; failed requests are rows, not errors.

    Leaves `plan.json`, `rows.jsonl` and `client.log` in `work_directory`, which must exist; rows
    are written as they come. `progress(done, scheduled)` is called about twice a second. The child
    ends with this call, however this call ends, and by itself when this process is killed.
    `timeout_seconds` is by default the plan's `longest_seconds`.

    Raises TransientError when the client was killed or took too long, PermanentError when it broke,
    each with its last words.
    """
    planned, rows, log = (
        work_directory / name for name in ("plan.json", "rows.jsonl", "client.log")
    )
    rows.unlink(missing_ok=True)
    plan.write(planned)
    limit = plan.longest_seconds if timeout_seconds is None else timeout_seconds
    counter = _RowCounter(rows, len(plan.requests), progress)
    child = _start([str(planned), str(rows)], log)
    try:
        code = _wait(child, limit, counter.look)
    finally:
        _end(child)
    if code is None:
        raise TransientError(SYSTEM, f"finish within {limit:.0f} s", _last_words(log))
    if code != 0:
        raise _failure(code, log)
    counter.look()
    return _result(rows, len(plan.requests), log)


class _RowCounter:
    """Tells `progress` how many rows there are, reading only what was added since the last look."""

    def __init__(
        self, rows: Path, scheduled: int, progress: Callable[[int, int], None] | None
    ) -> None:
        self._rows = rows
        self._scheduled = scheduled
        self._progress = progress
        self._read = self._count = 0

    def look(self) -> None:
        if self._progress is None or not self._rows.exists():
            return
        with self._rows.open("rb") as lines:
            lines.seek(self._read)
            added = lines.read()
        self._read += len(added)
        self._count += added.count(b"\n")
        # The summary at the end is a line as well.
        self._progress(min(self._count, self._scheduled), self._scheduled)


def _start(arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as errors:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "resources.load.locust_client", *arguments],
            # The child ends when this pipe does: it outlives no parent, not even a killed one.
            stdin=subprocess.PIPE,
            stdout=errors,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=child_environment(),
        )


def child_environment() -> dict[str, str]:
    """What the client is started with; it finds this package also where none is installed."""
    found = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {**found, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}


def _wait(child: subprocess.Popen[bytes], limit: float, look: Callable[[], None]) -> int | None:
    """The exit code, or None when `limit` seconds went by first."""
    deadline = time.monotonic() + limit
    while (left := deadline - time.monotonic()) > 0:
        with suppress(subprocess.TimeoutExpired):
            return child.wait(min(left, _LOOK_SECONDS))
        look()
    return child.poll()


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    if child.stdin is not None:
        child.stdin.close()


def _result(rows: Path, scheduled: int, log: Path) -> LoadResult:
    found = list(read_lines(rows))
    if not found or "summary" not in found[-1]:
        raise TransientError(SYSTEM, "write its summary", _last_words(log))
    measured = sorted((from_object(row) for row in found[:-1]), key=lambda row: row.number)
    return LoadResult(tuple(measured), scheduled, ClientFacts(**found[-1]["summary"]))


def _failure(code: int, log: Path) -> TransientError | PermanentError:
    words = _last_words(log)
    if code < 0:
        return TransientError(
            SYSTEM,
            "finish",
            f"{signal.Signals(-code).name} ended it: {words}",
            hint="look whether the machine ran out of memory",
        )
    if code == BAD_PLAN:
        return PermanentError(SYSTEM, "use its plan", words)
    return PermanentError(SYSTEM, "run", words, hint=f"read {log}")


def _last_words(log: Path) -> str:
    """The last line that the child wrote: of a traceback, the error itself."""
    lines = log.read_text("utf-8", errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1].strip()[:300] if lines else "it said nothing"
