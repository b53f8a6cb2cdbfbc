"""One API server: requests that are tried again, streams that are not, and which kinds there are.

Failures become errors of ours here and nowhere else; what they mean is `failures`' business.
"""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from resources.errors import ExternalError, NeedsRepair, TransientError
from resources.kubernetes.api import failures
from resources.kubernetes.api.discovery import Discovery
from resources.kubernetes.api.failures import SYSTEM, Answer
from resources.kubernetes.reference import Kind, Object

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 3.0
_CONNECT_SECONDS, _READ_SECONDS = 5.0, 60.0
_HINT = "check that the API server runs and that the kubeconfig names its address"


class Connection:
    """To the server of a kubeconfig, or to the cluster that this process runs in.

    Transient failures are tried again, with growing pauses or after the server's `Retry-After`,
    for `retry_seconds`; then they are raised as TransientError. No answer is waited for longer
    than `answer_seconds`.
    """

    def __init__(
        self,
        kubeconfig: Path | None,
        *,
        context: str | None = None,
        retry_seconds: float = 20.0,
        answer_seconds: float = _READ_SECONDS,
    ) -> None:
        self._kubeconfig = kubeconfig
        self._context = context
        self._retry_seconds = retry_seconds
        self._limits = (min(_CONNECT_SECONDS, answer_seconds), answer_seconds)
        self._discovery = Discovery()

    def resource(self, kind: Kind, action: str, **options: Any) -> Any:
        """The client library's `Resource`. Raises NeedsRepair where the server has no such kind."""
        return self._discovery.resource(
            kind, lambda path: self.send("GET", path, action=action, **options)
        )

    def kinds(self, action: str) -> list[Any]:
        """All that can be listed and deleted, in the version that the server prefers."""
        return self._discovery.deletable(lambda path: self.send("GET", path, action=action))

    def send(
        self, method: str, path: str, *, action: str, secret: bool = False, **options: Any
    ) -> Object:
        """The answer as a document.

        `options` are those of `DynamicClient.request`, and another `retry_seconds` for this one.
        """
        said = self.text(method, path, action=action, secret=secret, **options)
        try:
            found: Object = json.loads(said)
        except ValueError as error:
            raise TransientError(
                SYSTEM, action, "what answers is not an API server", hint=_HINT
            ) from error
        return found

    def text(
        self, method: str, path: str, *, action: str, secret: bool = False, **options: Any
    ) -> str:
        """The answer as it is."""
        deadline = time.monotonic() + options.pop("retry_seconds", self._retry_seconds)
        pause = _FIRST_PAUSE
        while True:
            try:
                response = self._once(method, path, action=action, secret=secret, **options)
                with self._translated(action, secret=secret):
                    return str(response.data.decode("utf-8", "replace"))
            except _Again as again:
                wait = pause if again.retry_after is None else again.retry_after
                if time.monotonic() + wait > deadline:
                    raise again.error from again.__cause__
                time.sleep(wait)
            pause = min(2 * pause, _LONGEST_PAUSE)

    @contextmanager
    def stream(
        self, path: str, *, action: str, silence_seconds: float, **options: Any
    ) -> Iterator[Iterator[Object]]:
        """The documents of an answer that goes on, one a line.

        They end when the server ends them, and after `silence_seconds` without any.
        """
        from kubernetes.watch.watch import iter_resp_lines
        from urllib3.exceptions import ReadTimeoutError

        limits = (_CONNECT_SECONDS, max(silence_seconds, 0.05))
        try:
            response = self._once("GET", path, action=action, _request_timeout=limits, **options)
        except _Again as again:
            raise again.error from again.__cause__

        def documents() -> Iterator[Object]:
            try:
                with self._translated(action), suppress(ReadTimeoutError):
                    yield from (json.loads(line) for line in iter_resp_lines(response) if line)
            except _Again as again:
                raise again.error from again.__cause__

        try:
            yield documents()
        finally:
            response.close()

    @property
    def configuration(self) -> Any:
        """The client library's: where the server is, and who we are to it."""
        return self._client.client.configuration

    def _once(
        self, method: str, path: str, *, action: str, secret: bool = False, **options: Any
    ) -> Any:
        options.setdefault("_request_timeout", self._limits)
        with self._translated(action, secret=secret):
            return self._client.request(method, path, serialize=False, **options)

    @contextmanager
    def _translated(self, action: str, *, secret: bool = False) -> Iterator[None]:
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        try:
            yield
        except HTTPError as failure:
            raise _Again(_unreachable(action, str(failure) or type(failure).__name__)) from failure
        except (ApiException, AttributeError, UnicodeDecodeError) as failure:
            # The library stumbles over refusals without a body (TLS) or with one that is no text.
            refusal = failure if isinstance(failure, ApiException) else failure.__context__
            if not isinstance(refusal, ApiException):
                raise
            # Its exception shows the whole answer, which may quote what was sent.
            raise _meant(refusal, action, secret=secret) from None if secret else failure

    @cached_property
    def _client(self) -> Any:
        """Made on first use, which reads the kubeconfig and asks nothing of the server."""
        from kubernetes.client import ApiClient, Configuration
        from kubernetes.dynamic import DynamicClient

        settings = Configuration()
        self._configure(settings)
        # Retrying is decided here, by what a failure means, and not by urllib3.
        settings.retries = False
        return DynamicClient(ApiClient(settings), discoverer=lambda *_: self._discovery)

    def _configure(self, settings: Any) -> None:
        from kubernetes import config
        from yaml import YAMLError

        where = self._kubeconfig or "the account of this pod"
        try:
            if self._kubeconfig is None:
                config.load_incluster_config(client_configuration=settings)
            else:
                config.load_kube_config(
                    str(self._kubeconfig), context=self._context, client_configuration=settings
                )
        except (config.ConfigException, OSError, YAMLError, TypeError) as error:
            hint = "name a kubeconfig that `kubectl --kubeconfig FILE get nodes` works with"
            line = " ".join(str(error).split())[:300]
            raise NeedsRepair(SYSTEM, f"use {where}", line, hint=hint) from error


class _Again(Exception):
    """A failure that another attempt may mend."""

    def __init__(self, error: ExternalError, retry_after: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after = retry_after


def _meant(refusal: Any, action: str, *, secret: bool) -> Exception:
    if not refusal.status:
        return _tls(action, str(refusal.reason))
    given = _answer(refusal)
    problem = failures.error(given, action, secret=secret)
    return _Again(problem, given.retry_after) if given.is_transient else problem


def _answer(failure: Any) -> Answer:
    body = failure.body or ""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)
    headers: Mapping[str, str] = failure.headers or {}
    return failures.answer(int(failure.status), text, headers)


def _unreachable(action: str, said: str) -> TransientError:
    reason = f"the API server does not answer: {' '.join(said.split())[:300]}"
    return TransientError(SYSTEM, action, reason, hint=_HINT)


def _tls(action: str, said: str) -> Exception:
    """The library tells all failures of TLS alike; only a certificate is not mended by itself."""
    if "CERTIFICATE_VERIFY_FAILED" not in said:
        return _Again(_unreachable(action, said))
    reason = f"the certificate of the API server is not accepted: {' '.join(said.split())[:300]}"
    hint = "renew certificate-authority-data in the kubeconfig"
    return NeedsRepair(SYSTEM, action, reason, hint=hint)
