"""The load client, a program of its own: `python -m resources.load.locust_client PLAN ROWS`.

Sends every request of the plan at its intended time, whatever became of the earlier ones, and
writes a row as each ends and a summary at last. Importing this module patches the process
(gevent): only `load` starts it, as a child.
"""

import gc
import json
import os
import resource
import socket
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, TextIO
from urllib.parse import urlsplit

import gevent
import locust
from gevent.event import AsyncResult
from gevent.lock import BoundedSemaphore
from gevent.monkey import get_original
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError
from locust.contrib.fasthttp import LocustUserAgent
from locust.env import Environment
from locust.exception import StopUser

from resources.load.completion_stream import Completion
from resources.load.rows import Failure, RequestRow, to_line
from resources.load.run import BAD_PLAN, ClientFacts, LoadPlan

# Between the client being ready and offset 0, so that the first request is not late.
_LEAD_SECONDS = 0.1
# Files besides sockets that the process may have open.
_SPARE_FILES = 256


class Run:
    """One load test: the plan with its bodies ready to send, and the rows so far."""

    def __init__(self, plan: LoadPlan, rows: TextIO) -> None:
        self.plan = plan
        self.finished: Any = AsyncResult()
        self._rows = rows
        self._name = uuid.uuid4().hex
        self._bodies = [_body(plan, prompt) for prompt in plan.prompts]
        self._paths = [_path(prompt) for prompt in plan.prompts]
        self._places = BoundedSemaphore(min(plan.concurrency, _allowed_sockets(plan.concurrency)))
        self._lags: list[float] = []
        self._start = self._started_at = self._cpu_share = 0.0

    def dispatch(self, client: Any) -> None:
        """Send everything on time, then wait for the answers."""
        lead = _LEAD_SECONDS if self.plan.start_at is None else self.plan.start_at - time.time()
        if lead < 0:
            raise TimeoutError(f"ready {-lead:.1f} s after the others began")
        self._start = time.perf_counter() + lead
        self._started_at = time.time() + lead
        cpu, began = time.process_time(), time.perf_counter()
        sending = []
        for number, request in enumerate(self.plan.requests):
            while (early := request.offset - self._now()) > 0:
                gevent.sleep(early)
            sending.append(gevent.spawn(self._perform, client, number))
        gevent.sleep(0)
        self._cpu_share = (time.process_time() - cpu) / (time.perf_counter() - began)
        gevent.joinall(sending, raise_error=True)

    def summary(self, total: Any) -> ClientFacts:
        """The client's facts; `total` is Locust's own statistic over all requests."""
        lags = sorted(self._lags) or [0.0]
        return ClientFacts(
            started_at=self._started_at,
            wall_seconds=self._now(),
            cpu_share=self._cpu_share,
            lag_p50=lags[len(lags) // 2],
            lag_p99=lags[min(len(lags) - 1, int(len(lags) * 0.99))],
            locust_version=locust.__version__,
            locust_requests=total.num_requests,
            locust_p50=total.get_response_time_percentile(0.5) / 1000,
            locust_p95=total.get_response_time_percentile(0.95) / 1000,
        )

    def _now(self) -> float:
        return time.perf_counter() - self._start

    def _perform(self, client: Any, number: int) -> None:
        planned = self.plan.requests[number]
        with self._places:
            answer = Completion()
            sent = self._now()
            status, headers = self._exchange(client, number, answer)
        self._lags.append(sent - planned.offset)
        row = RequestRow(
            number=number,
            phase=planned.phase,
            prompt=planned.prompt,
            intended=planned.offset,
            sent=sent,
            headers=headers,
            first_token=answer.first_token,
            chunks=tuple(answer.chunks),
            end=self._now() if answer.end is None else answer.end,
            status=status,
            error=answer.error,
            reason=answer.reason,
            finish_reason=answer.finish_reason,
            prompt_tokens=answer.prompt_tokens,
            output_tokens=answer.output_tokens,
        )
        self._rows.write(to_line(row))
        self._rows.flush()

    def _exchange(
        self, client: Any, number: int, answer: Completion
    ) -> tuple[int | None, float | None]:
        """Send the request and read `answer`; the status and the time of the headers, if any."""
        limit = gevent.Timeout.start_new(self.plan.timeout_seconds)
        status = headers = None
        try:
            with self._post(client, number) as response:
                if error := getattr(response, "error", None):
                    answer.fail(*_classify(error, expired=not limit.pending, begun=False))
                else:
                    status, headers = response.status_code, self._now()
                    self._read(response.stream, status, answer, limit)
                answer.close(self._now())
                if answer.error is None:
                    response.success()
                else:
                    response.failure(f"{answer.error}: {answer.reason}")
        finally:
            limit.close()
        return status, headers

    def _post(self, client: Any, number: int) -> Any:
        prompt = self.plan.requests[number].prompt
        return client.post(
            self._paths[prompt],
            name="completion",
            data=self._salted(self._bodies[prompt], number),
            headers={"Content-Type": "application/json", "Accept-Encoding": "identity"},
            stream=True,
            catch_response=True,
        )

    def _salted(self, body: bytes, number: int) -> bytes:
        if not self.plan.fresh:
            return body
        return body[:-1] + f', "cache_salt": "{self._name}-{number}"}}'.encode()

    def _read(self, stream: Any, status: int, answer: Completion, limit: Any) -> None:
        try:
            if status != 200:
                words = stream.read(1000).decode("utf-8", errors="replace")
                answer.fail(Failure.HTTP, f"status {status}: {words}")
            elif self.plan.stream:
                while line := stream.readline(b"\n"):
                    answer.read_line(line, self._now())
                # The last line, where the server ended it without its newline.
                answer.read_line(stream.read(), self._now())
            else:
                answer.read_body(stream.read(), self._now())
        except (HTTPParseError, OSError, gevent.Timeout) as error:
            if not answer.done:
                answer.fail(*_classify(error, expired=not limit.pending, begun=True))
        finally:
            stream.release()


class OpenLoopUser(locust.FastHttpUser):
    """Locust's only user: it dispatches, and waits for nobody."""

    run_: ClassVar[Run]
    max_retries = 0
    max_redirects = 0
    insecure = False

    @locust.task
    def dispatch(self) -> None:
        """Locust only logs what a task raises; `finished` hands it to the main greenlet."""
        work = gevent.spawn(self.run_.dispatch, self.client)
        work.link(self.run_.finished)
        work.join()
        raise StopUser


def main(arguments: list[str]) -> int:
    """Run the plan of `arguments[0]`, writing rows to `arguments[1]`; the exit code."""
    _end_with_parent()
    try:
        plan = LoadPlan.read(Path(arguments[0]))
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        sys.stderr.write(f"not a plan: {error!r}\n")
        return BAD_PLAN
    with Path(arguments[1]).open("w", encoding="utf-8") as rows:
        run = Run(plan, rows)
        total = _under_locust(run)
        rows.write(json.dumps({"summary": vars(run.summary(total))}) + "\n")
    return 0


def _under_locust(run: Run) -> Any:
    """Run under a local Locust runner; Locust's statistic over all requests."""
    # Every status comes back as an answer with its body, instead of as an exception.
    LocustUserAgent.valid_response_codes = frozenset(range(100, 1000))
    OpenLoopUser.run_ = run
    OpenLoopUser.concurrency = run.plan.concurrency
    OpenLoopUser.connection_timeout = OpenLoopUser.network_timeout = run.plan.timeout_seconds + 5
    environment = Environment(user_classes=[OpenLoopUser], host=run.plan.url.rstrip("/"))
    runner = environment.create_local_runner()
    _resolve(run.plan.url)
    # A collection of what lives for the whole run would pause every open stream.
    gc.collect()
    gc.freeze()
    runner.start(1, spawn_rate=1)
    try:
        run.finished.get()
    finally:
        runner.quit()
    return environment.stats.total


def _resolve(url: str) -> None:
    """Look the host up once, so that no request waits for the resolver's thread to start."""
    with suppress(OSError):
        socket.getaddrinfo(urlsplit(url).hostname, None)


def _body(plan: LoadPlan, prompt: Any) -> bytes:
    body = {
        "model": plan.model,
        **prompt,
        "max_tokens": plan.max_tokens,
        "temperature": 0,
        "stream": plan.stream,
    }
    if plan.stream:
        body["stream_options"] = {"include_usage": True}
    return json.dumps({**body, **plan.extra}).encode()


def _path(prompt: Any) -> str:
    return "/v1/chat/completions" if "messages" in prompt else "/v1/completions"


def _classify(error: BaseException, *, expired: bool, begun: bool) -> tuple[Failure, str]:
    """The class of a failed exchange; `begun`: the headers of the answer were there."""
    reason = str(error) or type(error).__name__
    if expired:
        return Failure.TIMEOUT, "no complete answer in time"
    if begun:
        return Failure.TRUNCATED, f"the connection broke inside the answer: {reason}"
    if isinstance(error, ConnectionRefusedError):
        return Failure.REFUSED, reason
    if isinstance(error, HTTPParseError) and not isinstance(error, HTTPConnectionClosed):
        return Failure.PROTOCOL, reason
    return Failure.CONNECTION, reason


def _allowed_sockets(wanted: int) -> int:
    """How many sockets may be open, after raising the limit on files towards what is wanted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = wanted + _SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < need:
        soft = need if hard == resource.RLIM_INFINITY else min(need, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else max(1, soft - _SPARE_FILES)


def _end_with_parent() -> None:
    """End at once when standard input ends, which is when the parent does; in a native thread."""

    def watch() -> None:
        while os.read(0, 1):
            pass
        os._exit(3)

    get_original("_thread", "start_new_thread")(watch, ())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
