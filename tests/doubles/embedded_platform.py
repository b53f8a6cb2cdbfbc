"""A whole embedded platform for tests: its own home and roots, a quick profile, real processes.

Random weights pass its gates, so that a test may ask for any number of promotions in little time.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import yaml

from cloud_assets.cli.commands import platform
from cloud_assets.cli.progress import Progress, read_progress
from cloud_assets.settings import Settings
from cloud_assets.settings_file import CLUSTER_VARIABLE, read_settings
from examples import tiny_llama
from resources.dagster.graphql import DagsterGraphQL, Event, Run
from resources.errors import AiHowError
from resources.gateway import routes as gateway_routes
from resources.mlflow.rest import alias_target
from resources.ports import free_ports
from resources.supervisor import MARKER, Supervisor
from resources.supervisor.processes import marked

MODEL = "capitals"
#: Enough for a machine that is at work on other things, too: nothing here measures speed.
PATIENCE_SECONDS = 240.0
#: Between two looks; one at everything costs the webserver half of the short one.
_PAUSE_SECONDS, _LONG_PAUSE_SECONDS = 0.15, 0.5
REPOSITORY = Path(__file__).parents[2]
_SUITE = tiny_llama.CAPITALS / "suite.jsonl"
_ITEMS = 12

T = TypeVar("T")


@dataclass
class EmbeddedPlatform:
    """One platform in `home`; `changes` are merged into its `platform:` settings.

    `clusters` are the virtual machines of its file.
    """

    home: Path
    changes: dict[str, Any] = field(default_factory=dict)
    clusters: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.file = self.home / "cluster.yaml"
        (self.home / "runs").mkdir()
        suite = _SUITE.read_text("utf-8").splitlines(keepends=True)[:_ITEMS]
        (self.home / "suite.jsonl").write_text("".join(suite), "utf-8")
        document = {"platform": {**_settings(), **self.changes}}
        if self.clusters:
            document["clusters"] = self.clusters
        self.file.write_text(yaml.safe_dump(document), "utf-8")
        self.settings: Settings = read_settings(self.file)
        self.supervisor = Supervisor(self.home)
        self.graph = DagsterGraphQL(self.settings.dagster_url)

    @property
    def root(self) -> Path:
        return self.settings.roots[0].path

    def up(self) -> None:
        before = os.environ.get(CLUSTER_VARIABLE)
        os.environ[CLUSTER_VARIABLE] = str(self.file)
        try:
            platform.start(self.settings, lambda said: None)
        finally:
            os.environ.pop(CLUSTER_VARIABLE)
            if before is not None:
                os.environ[CLUSTER_VARIABLE] = before

    def down(self) -> None:
        """End it. Raises AssertionError when a process of it is left."""
        self.graph.close()
        self.supervisor.shutdown()
        assert self.processes() == []

    def ai_how(
        self, *arguments: str, seconds: float = PATIENCE_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """The command, as a person runs it; its exit status is the caller's to judge."""
        return subprocess.run(
            [str(Path(sys.executable).with_name("ai-how")), *arguments],
            env={**os.environ, CLUSTER_VARIABLE: str(self.file), "COLUMNS": "400"},
            cwd=REPOSITORY, capture_output=True, text=True, timeout=seconds, check=False,
        )  # fmt: skip

    def drop(self, run: str, step: int = 1, *, seed: int) -> str:
        """Write a checkpoint as a trainer does; its key."""
        tiny_llama.write_checkpoint(self.directory(run, step), seed=seed, step=step)
        return f"{MODEL}.{run}.{step}"

    def directory(self, run: str, step: int = 1) -> Path:
        return self.root / run / f"checkpoint-{step}"

    def progress(self) -> dict[str, Progress]:
        return {each.checkpoint: each for each in read_progress(self.settings, self.graph)}

    def until(
        self, look: Callable[[], T | None], seconds: float = PATIENCE_SECONDS,
        *, pause: float = _PAUSE_SECONDS,
    ) -> T:  # fmt: skip
        """What `look` finds, once it is true. Raises AssertionError with the state of everything.

        A platform that does not answer for a while, as after a kill, is asked again.
        """
        deadline, problem = time.monotonic() + seconds, ""
        while time.monotonic() < deadline:
            try:
                found = look()
            except (AiHowError, httpx.HTTPError, ValueError) as error:
                problem = f"; last: {error}"
            else:
                if found:
                    return found
            time.sleep(pause)
        raise AssertionError(f"not in {seconds:.0f} s{problem}; {self._everything()}")

    def until_settled(
        self, keys: Iterable[str], seconds: float = PATIENCE_SECONDS
    ) -> dict[str, Progress]:
        """The progress of the checkpoints once the platform is done with each."""
        wanted = set(keys)

        def settled() -> dict[str, Progress] | None:
            found = {key: each for key, each in self.progress().items() if key in wanted}
            done = len(found) == len(wanted) and all(each.settled for each in found.values())
            return found if done and not self.active_runs(wanted) else None

        return self.until(settled, seconds, pause=_LONG_PAUSE_SECONDS)

    def until_stage(self, key: str, stage: str, seconds: float = PATIENCE_SECONDS) -> Run:
        """The run of the checkpoint, the moment that it is seen to be in `stage`."""

        def there() -> Run | None:
            for run in self.runs(key):
                if any(step.name == stage and step.status == "IN_PROGRESS" for step in run.steps):
                    return run
            return None

        return self.until(there, seconds)

    def runs(self, key: str) -> tuple[Run, ...]:
        return self.graph.runs(tags={"dagster/partition": key})

    def active_runs(self, keys: Iterable[str]) -> list[Run]:
        wanted = set(keys)
        runs = self.graph.runs(limit=200)
        return [r for r in runs if not r.finished and r.tags.get("dagster/partition") in wanted]

    def releases(self, key: str) -> tuple[Event, ...]:
        return self.graph.events("release", partitions=[key])

    def promotions(self, key: str) -> set[str]:
        """The moments at which it became champion; a repeated release tells of the same one."""
        told = (event.metadata for event in self.releases(key))
        return {each["promoted_at"] for each in told if each["outcome"] == "promoted"}

    def champion(self) -> str | None:
        target = alias_target(self.settings.registry_url, MODEL, "champion")
        return target[0] if target else None

    def versions(self, key: str) -> list[str]:
        """The digests of all registered versions of the checkpoint."""
        answer = httpx.get(
            f"{self.settings.registry_url}/api/2.0/mlflow/model-versions/search",
            params={"filter": f"name = '{MODEL}'", "max_results": 1000}, timeout=20,
        ).json()  # fmt: skip
        tags = [
            {tag["key"]: tag["value"] for tag in version.get("tags", ())}
            for version in answer.get("model_versions", ())
        ]
        return [each["ai-how.digest"] for each in tags if each["ai-how.key"] == key]

    def served(self) -> tuple[str, str] | None:
        """Key and digest behind the endpoint."""
        entry = gateway_routes.read(self.home / "gateway" / "routes.json").get(MODEL)
        return (entry.route.key, entry.route.digest) if entry else None

    def slots(self) -> list[str]:
        """The keys of the checkpoints that a model server is up for."""
        names = [program.name for program in self.supervisor.programs()]
        return sorted(n[len("slot-") :].rpartition("-")[0] for n in names if n.startswith("slot-"))

    def answers(self) -> bool:
        """Whether a completion comes back through the gateway."""
        answer = httpx.post(
            f"{self.settings.gateway_url}/v1/completions",
            json={"model": MODEL, "prompt": "Question: ", "max_tokens": 2}, timeout=20,
        )  # fmt: skip
        return answer.status_code == 200 and bool(answer.json()["choices"])

    def pid(self, program: str) -> int:
        """The process of a program by its name, or by the beginning of it."""
        found = [each.pid for each in self.supervisor.programs() if each.name.startswith(program)]
        assert found, f"no program {program}"
        return found[0]

    def processes(self) -> list[psutil.Process]:
        """Whatever of this home is alive."""
        return marked(MARKER, str(self.home.resolve()))

    def _everything(self) -> str:
        try:
            rows = {
                key: f"{each.stage} {each.state} {each.reason}"
                for key, each in self.progress().items()
            }
            return json.dumps(rows, indent=1)
        except AiHowError as error:
            return str(error)


def _settings() -> dict[str, Any]:
    return {
        "home": ".",
        "ports": dict(zip(("dagster", "mlflow", "gateway"), free_ports(3), strict=True)),
        "roots": [{"path": "runs", "model": MODEL}],
        "evaluation": {"suites": {MODEL: "suite.jsonl"}, "max_tokens": 2},
        "serving": {"timeout_seconds": 180},
        "benchmark": {
            "rate": 15,
            "warmup_seconds": 0.3,
            "steady_seconds": 1.5,
            "cooldown_seconds": 0.2,
            "output_tokens": 2,
            "objective": {"latency": 25.0},
            # What a machine at work on other things still holds: these tests measure no speed.
            "targets": [
                {"metric": "latency_p50", "at_most": 25.0},
                {"metric": "failure_share", "at_most": 0.0},
            ],
        },
    }
