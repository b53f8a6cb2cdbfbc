"""All that the stages of a checkpoint touch: real files, store and Dagster, doubles elsewhere."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg

from cloud_assets import definitions, keys
from cloud_assets.benchmarks import assets as benchmarks
from cloud_assets.serving import assets as serving
from cloud_assets.settings import Evaluation, Profile, Root, Settings
from resources.object_store import ObjectStore
from resources.serving import ServingBackend
from tests.doubles.checkpoints import Checkpoints
from tests.doubles.openai_server import AnswerServer
from tests.doubles.registry import MemoryRegistry
from tests.doubles.serving import MemoryServing

MODEL = "qa"
QUESTIONS = {f"What is {number} plus one?": str(number + 1) for number in range(10)}
PREPARED = (keys.CHECKPOINT, keys.MODEL_ARTIFACT, keys.REGISTERED_MODEL)
ASSETS = [*definitions.STAGES, benchmarks.benchmark_trend, serving.endpoint]


class World:
    """One model, its root, its suite of ten questions, and every system behind the stages."""

    def __init__(self, home: Path, instance: dg.DagsterInstance, server: AnswerServer) -> None:
        root, suite = home / "root", home / "suite.jsonl"
        root.mkdir()
        suite.write_text(
            "\n".join(
                json.dumps({"prompt": question, "expected": answer, "judge": "exact"})
                for question, answer in QUESTIONS.items()
            )
        )
        self.checkpoints = Checkpoints(root)
        self.instance = instance
        self.server = server
        self.settings = Settings(
            home=home / "home",
            roots=(Root(path=root, model=MODEL),),
            evaluation=Evaluation(suites={MODEL: suite}, minimum_accuracy=0.5),
            benchmark=Profile(warmup_seconds=0, steady_seconds=1, cooldown_seconds=0),
        )
        self.store = ObjectStore((home / "store").as_uri())
        self.registry = MemoryRegistry()
        self.serving = MemoryServing(server.url)
        #: What the graph is given: `serving`, or something around it.
        self.backend: ServingBackend = self.serving
        self.learn(10)

    def learn(self, count: int) -> None:
        """From now on so many of the ten questions are answered right."""
        self.server.answers = dict(list(QUESTIONS.items())[:count])

    def run(
        self, *stages: str, step: int | None = 100, config: Mapping[str, Any] | None = None
    ) -> dg.ExecuteInProcessResult:
        """Materialise these stages for `qa.run.<step>`; failing is a result, no exception."""
        key = f"{MODEL}.run.{step}" if step is not None else None
        if key is not None:
            self.instance.add_dynamic_partitions("checkpoints", [key])
        run_config = {"ops": {stages[0]: {"config": dict(config)}}} if config else None
        return dg.materialize(
            ASSETS,
            selection=list(stages),
            partition_key=key,
            instance=self.instance,
            resources={
                "settings": self.settings,
                "store": self.store,
                "registry": self.registry,
                "serving": self.backend,
            },
            run_config=run_config,
            raise_on_error=False,
        )

    def publish(self, step: int = 100) -> None:
        """A checkpoint of this step, unless it is there, taken as far as its registration."""
        if not (self.checkpoints.root / "run" / f"checkpoint-{step}").exists():
            self.checkpoints.hf(step=step, size=step)
        assert self.run(*PREPARED, step=step).success

    def promote(self, step: int, action: str = "promote") -> dg.ExecuteInProcessResult:
        return self.run(keys.RELEASE, step=step, config={"action": action})

    @property
    def behind(self) -> str | None:
        """The digest behind the endpoint."""
        route = self.serving.routes().get(MODEL)
        return route.digest if route else None


@contextmanager
def a_world(home: Path) -> Iterator[World]:
    """A world that is gone after the block."""
    with dg.DagsterInstance.ephemeral() as instance, AnswerServer() as server:
        yield World(home, instance, server)


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    """What an asset told, as plain values."""
    [event] = result.asset_materializations_for_node(asset)
    return {name: value.value for name, value in event.metadata.items()}


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {each.check_name: each.passed for each in result.get_asset_check_evaluations()}


def complaint(result: dg.ExecuteInProcessResult) -> str:
    """The words of the step that failed."""
    [failure] = [e for e in result.all_events if e.is_step_failure]
    error = failure.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message if error else ""
