"""kubectl as a child process, on one kubeconfig: what the testbed and its tests ask a cluster."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.testbed.build import cache, commands, go_programs


@dataclass(frozen=True)
class Kubectl:
    """Calls raise PermanentError with kubectl's own words; waits end after their seconds."""

    kubeconfig: Path
    program: Path

    def __call__(self, *arguments: str, text: str | None = None, seconds: float = 120) -> str:
        command = [str(self.program), "--kubeconfig", str(self.kubeconfig), *arguments]
        return commands.run(command, text=text, seconds=seconds)

    def get(self, *arguments: str) -> Any:
        """The answer of `kubectl get` as a document."""
        return json.loads(self("get", *arguments, "--output", "json"))

    def apply(self, manifests: Path | str) -> None:
        """Server-side apply of a file, or of the text of one.

        Not validated: for that the server makes a schema of all definitions, which takes seconds.
        """
        options = ("apply", "--server-side", "--force-conflicts", "--validate=false", "--filename")
        if isinstance(manifests, Path):
            self(*options, str(manifests))
        else:
            self(*options, "-", text=manifests)

    def wait(self, what: str, condition: str, *more: str, seconds: int = 120) -> None:
        """Until the object, which must be there, has the condition."""
        limit = ("--for", condition, f"--timeout={seconds}s")
        self("wait", what, *limit, *more, seconds=seconds + 10)

    @contextmanager
    def cordoned(self, *nodes: str) -> Iterator[None]:
        """Within, nothing new is placed on these nodes."""
        self("cordon", *nodes)
        try:
            yield
        finally:
            self("uncordon", *nodes)

    @contextmanager
    def scaled_down(self, deployment: str, namespace: str) -> Iterator[None]:
        """Within, the deployment has no pods; behind it is available again with one."""
        what, where = f"deployment/{deployment}", ("--namespace", namespace)
        self("scale", what, "--replicas=0", *where)
        self("wait", "pods", "--for=delete", "--all", "--timeout=60s", *where)
        try:
            yield
        finally:
            self("scale", what, "--replicas=1", *where)
            self.wait(what, "condition=Available", *where)


def of_testbed(kubeconfig: Path) -> Kubectl:
    """With the kubectl that is built here."""
    return Kubectl(kubeconfig, cache.have(go_programs.kubernetes()) / "kubectl")


def installed(kubeconfig: Path) -> Kubectl | None:
    """With the kubectl of PATH, for a cluster of somebody else; None when there is none."""
    found = shutil.which("kubectl")
    return Kubectl(kubeconfig, Path(found)) if found else None
