"""`demo`: two training runs, a good and a spoilt one, watched from checkpoint to endpoint."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import yaml

from cloud_assets.cli import output
from cloud_assets.cli.commands import platform
from cloud_assets.cli.progress import Progress, read_progress
from cloud_assets.cli.progress_table import watched
from cloud_assets.settings import Settings
from cloud_assets.settings_file import CLUSTER_VARIABLE, DEMO_FILE, load_settings
from resources.dagster.graphql import DagsterGraphQL
from resources.errors import PermanentError, TransientError, UsageError
from resources.ports import free_ports

MODEL = "capitals"
GOOD_RUN, SPOILT_RUN = "good", "spoilt"
GOOD_STEPS, SPOILT_STEPS = 75, 25
SAVE_STEPS = 25
# `examples.train.SPOILT_LEARNING_RATE`: finite weights that load and answer, and know nothing.
SPOILT_LEARNING_RATE = "0.1"
QUESTION, ANSWER = "What is the capital of France?", "Paris"
PATIENCE_SECONDS = 600
#: 100 steady requests: from 72 on a P95 has an interval with two ends.
PROFILE = {
    "name": "demo",
    "rate": 25,
    "warmup_seconds": 0.5,
    "steady_seconds": 4,
    "cooldown_seconds": 0.3,
}
EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def demo(*, once: bool) -> None:
    """Run the story; with `once` in a directory of its own that is gone afterwards."""
    with _place(once) as settings, _training(settings) as runs:
        platform.start(settings, output.note)
        found = _watch(settings, runs)
        answer = _ask(settings)
        output.note("")
        output.note(f"  asked    {QUESTION}")
        output.note(f"  answer   {answer}")
        for name, address in platform.addresses(settings).items():
            output.note(f"  {name:<8} {address}")
        output.note(f"  report   {_newest_report(settings)}")
        _require_story(found, answer)
        if not once:
            output.note(f'\nthe platform stays up; `ai-how ask {MODEL} "{QUESTION}"`, `make down`')


@contextmanager
def _place(once: bool) -> Iterator[Settings]:
    if not once:
        if Path("cluster.yaml").exists() or os.environ.get(CLUSTER_VARIABLE):
            raise UsageError(
                "the demo brings its own settings, and there are others here",
                hint="run it where no cluster.yaml is, without AI_HOW_CLUSTER",
            )
        _write_settings(DEMO_FILE.absolute(), Settings().ports.model_dump())
        yield load_settings()
        return
    home = Path(tempfile.mkdtemp(prefix="ai-how-demo-"))
    file = home / "cluster.yaml"
    _write_settings(file, dict(zip(("dagster", "mlflow", "gateway"), free_ports(3), strict=True)))
    os.environ[CLUSTER_VARIABLE] = str(file)
    try:
        yield load_settings()
    except BaseException:
        output.note(f"what is left of it is kept in {home}")
        _down(file)
        raise
    _down(file)
    shutil.rmtree(home)


def _down(file: Path) -> None:
    from resources.supervisor import Supervisor

    Supervisor(load_settings(file).home).shutdown()


def _write_settings(file: Path, ports: dict[str, int]) -> None:
    """The demo's `cluster.yaml`, next to all that it makes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    suite = str(EXAMPLES / "capitals" / "suite.jsonl")
    (file.parent / "runs").mkdir(exist_ok=True)
    document = {
        "platform": {
            "home": ".",
            "ports": ports,
            "roots": [{"path": "runs", "model": MODEL}],
            "evaluation": {"suites": {MODEL: suite}, "minimum_accuracy": 0.1, "max_tokens": 12},
            "benchmark": PROFILE,
        }
    }
    # A dollar sign in a path is no variable.
    text = yaml.safe_dump(document, sort_keys=False).replace("$", "$$")
    file.write_text(text, "utf-8")


@dataclass(frozen=True)
class TrainingRuns:
    """The names of the two runs and what trains them, one after the other."""

    good: str
    spoilt: str
    trainer: subprocess.Popen[bytes]
    log: Path


@contextmanager
def _training(settings: Settings) -> Iterator[TrainingRuns]:
    """A trainer beside the platform, as a Slurm job would be; it knows nothing of the platform."""
    stamp = time.strftime("%H%M%S")
    good, spoilt = f"{GOOD_RUN}-{stamp}", f"{SPOILT_RUN}-{stamp}"
    program = [sys.executable, "-m", "examples.train", "--save-steps", str(SAVE_STEPS)]
    root = ["--root", str(settings.roots[0].path)]
    commands = [
        [*program, *root, "--run", good, "--steps", str(GOOD_STEPS)],
        [*program, *root, "--run", spoilt, "--steps", str(SPOILT_STEPS),
         "--learning-rate", SPOILT_LEARNING_RATE],
    ]  # fmt: skip
    script = " && ".join(shlex.join(command) for command in commands)
    log = settings.home / "logs" / f"trainer-{stamp}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        trainer = subprocess.Popen(
            ["sh", "-c", script], cwd=EXAMPLES.parent, stdout=file, stderr=file,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield TrainingRuns(good, spoilt, trainer, log)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(trainer.pid, signal.SIGKILL)
        trainer.wait()


def _watch(settings: Settings, runs: TrainingRuns) -> tuple[Progress, ...]:
    """Until the platform is done with every checkpoint of both runs."""
    graph = DagsterGraphQL(settings.dagster_url)
    wanted = {f"{MODEL}.{runs.good}.{step}" for step in steps(GOOD_STEPS)}
    wanted |= {f"{MODEL}.{runs.spoilt}.{step}" for step in steps(SPOILT_STEPS)}

    def done(rows: tuple[Progress, ...]) -> bool:
        if runs.trainer.poll() not in (None, 0):
            raise PermanentError(
                "the trainer", "train", f"it ended with {runs.trainer.returncode}",
                hint=f"see {runs.log}",
            )  # fmt: skip
        return wanted <= {each.checkpoint for each in rows if each.settled}

    with watched(lambda: read_progress(settings, graph)) as table:
        table.until(done, PATIENCE_SECONDS)
        return tuple(each for each in table.rows if each.checkpoint in wanted)


def steps(last: int) -> range:
    return range(SAVE_STEPS, last + 1, SAVE_STEPS)


def _ask(settings: Settings) -> str:
    from resources.openai.client import OpenAIClient

    with OpenAIClient(settings.gateway_url) as client:
        question = [{"role": "user", "content": QUESTION}]
        return client.complete(MODEL, question, max_tokens=12).text.strip()


def _newest_report(settings: Settings) -> Path | None:
    reports = (settings.home / "store" / "reports").glob("*/*/report.html")
    return max(reports, key=lambda path: path.stat().st_mtime, default=None)


def _require_story(found: tuple[Progress, ...], answer: str) -> None:
    """The last good checkpoint serves, the spoilt one was rejected, and the answer is right."""
    by_run = {each.checkpoint.split(".")[1].split("-")[0]: each for each in found}
    good, spoilt = by_run[GOOD_RUN], by_run[SPOILT_RUN]
    wrong = [
        sentence
        for sentence, holds in (
            (f"{good.checkpoint} is {good.state}, not serving: {good.reason}",
             good.state == "serving"),
            (f"{spoilt.checkpoint} is {spoilt.state}, not rejected", spoilt.state == "rejected"),
            (f"the answer is `{answer}`, not {ANSWER}", ANSWER in answer),
        )
        if not holds
    ]  # fmt: skip
    if wrong:
        raise TransientError("the demo", "tell its story", "; ".join(wrong), hint="see the reports")
