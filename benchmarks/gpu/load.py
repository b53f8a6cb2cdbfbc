"""Load tests of a checkpoint on vLLM by the platform's own harness, with prompts never seen before.

`python -m benchmarks.gpu.load [CHECKPOINT] --points 30 60 60/20 --argument=--max-model-len
--argument=8192`: served as `ai-how` serves it, at 30 and 60 requests a second and at 60 with 20
prompts that come again and again; judged against P95 below 0.5 s and 50 requests a second.
Without a checkpoint one of Qwen3-0.6B's shape is made.
"""

import argparse
import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.gpu import nvidia, random_qwen
from cloud_assets.benchmarks.measurement import Subject, measure
from cloud_assets.benchmarks.schedule import make_plan
from cloud_assets.documents import BenchmarkReport, Percentiles
from cloud_assets.settings import Objective, Profile, Target
from resources.load.run import LoadPlan, LoadResult, run_load
from resources.load.shares import share, together
from resources.process_serving import ProcessServing, tuned
from resources.serving import Servable, Served
from resources.supervisor import Supervisor, sweep

TARGETS = (
    Target(metric="latency_p95", at_most=0.5),
    Target(metric="throughput", at_least=50),
    Target(metric="failure_share", at_most=0.0),
)
#: Ids of every tokenizer that is large enough to matter.
TOKENS = range(300, 30_000)
START_SECONDS = 600
#: Until the slowest of several clients has read its plan.
LEAD_SECONDS = 10


@contextmanager
def served(checkpoint: Path, options: argparse.Namespace) -> Iterator[Served]:
    """The checkpoint on `vllm` under a supervisord of its own, which ends with the block."""
    with tempfile.TemporaryDirectory() as home:
        supervisor = Supervisor(Path(home))
        supervisor.start(())
        runtimes = tuned(options.argument, options.memory_share)
        backend = ProcessServing(Path(home), supervisor=supervisor, runtimes=runtimes)
        location = f"{checkpoint.resolve().as_uri()}/"
        try:
            yield backend.serve(
                Servable("qa.run.1", "qa", "a" * 64, location, "vllm"),
                timeout_seconds=START_SECONDS,
            )
        finally:
            supervisor.shutdown()
            sweep(Path(home))
            for log in Path(home, "logs").glob("slot-*.log") if options.log else ():
                shutil.copy(log, options.log)


def fresh_prompts(number: int, length: int) -> list[Mapping[str, Any]]:
    """Prompts of `length` random tokens each, whose beginnings no cache can know."""
    source = random.Random(time.time_ns())
    return [{"prompt": source.choices(TOKENS, k=length)} for _ in range(number)]


def loaded(plan: LoadPlan, clients: int) -> LoadResult:
    """The result of `clients` that share the plan."""
    start_at = time.time() + LEAD_SECONDS if clients > 1 else None

    def run(number: int) -> LoadResult:
        with tempfile.TemporaryDirectory() as directory:
            mine = replace(share(plan, number, clients), start_at=start_at)
            return run_load(mine, work_directory=Path(directory))

    with ThreadPoolExecutor(clients) as pool:
        return together(list(pool.map(run, range(clients))))


def point(served: Served, profile: Profile, prompts: int, options: argparse.Namespace) -> None:
    seconds = profile.warmup_seconds + profile.steady_seconds + profile.cooldown_seconds
    # Each phase rounds its share.
    fresh = fresh_prompts(prompts or round(profile.rate * seconds) + 3, options.input_tokens)
    plan = make_plan(profile, prompts=fresh, url=served.slot.url, model=served.slot.model_name)
    plan = replace(plan, extra={"ignore_eos": True, **dict(options.extra)})
    with nvidia.Sampler() as gpu:
        result = loaded(plan, options.clients)
    report = measure(result, profile, Subject("qa.run.1", "-", "-", datetime.now(UTC)))
    began = result.client.started_at + profile.warmup_seconds
    print_row(report, *gpu.means(began, began + profile.steady_seconds))
    short = sum(row.output_tokens != profile.output_tokens for row in result.rows)
    inputs = {row.prompt_tokens for row in result.rows}
    if short or inputs != {options.input_tokens}:
        print(f"  {short} answers of another length, prompts of {sorted(map(str, inputs))} tokens")


def milliseconds(found: Percentiles) -> str:
    values = (found.p50, found.p95, found.p99)
    return "/".join("-" if each is None else f"{each * 1000:.0f}" for each in values)


def print_row(report: BenchmarkReport, percent: float, watts: float) -> None:
    verdicts = ", ".join(f"{each.metric} {each.verdict.value}" for each in report.targets)
    print(
        f"| {report.offered_rate:.0f} | {report.requests} | {report.throughput:.1f} "
        f"| {report.output_tokens_per_second:.0f} | {milliseconds(report.latency)} "
        f"| {milliseconds(report.ttft)} | {report.goodput:.1f} | {percent:.0f} "
        f"| {watts:.0f} | {report.client_cpu:.0%}, {report.send_lag_p99 * 1000:.0f} ms "
        f"| {report.verdict.value}: {verdicts} {'; '.join(report.invalid)} |",
        flush=True,
    )


def rate_and_prompts(text: str) -> tuple[float, int]:
    """Requests a second, and how many prompts there are; 0 is a new one each time."""
    rate, _, prompts = text.partition("/")
    return float(rate), int(prompts or 0)


def pair(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    return name, float(value) if value.replace(".", "", 1).isdecimal() else value


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, nargs="?")
    parser.add_argument("--points", type=rate_and_prompts, nargs="+", default=[(30, 0), (60, 0)])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--input-tokens", type=int, default=256)
    parser.add_argument("--output-tokens", type=int, default=32)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--memory-share", type=float, default=0.3)
    parser.add_argument("--argument", action="append", default=[], help="one more for the server")
    parser.add_argument("--extra", type=pair, action="append", default=[], help="FIELD=VALUE asked")
    parser.add_argument("--log", type=Path, help="where to leave the server's log")
    return parser.parse_args()


def main() -> None:
    options = parsed()
    print(nvidia.name(), " ".join(options.argument))
    with tempfile.TemporaryDirectory() as directory:
        checkpoint = options.checkpoint or Path(directory, "random")
        if options.checkpoint is None:
            random_qwen.write_checkpoint(checkpoint, seed=1)
        with served(checkpoint, options) as slot:
            print({name: round(seconds, 1) for name, seconds in slot.phases.items()})
            print(
                "| rate | requests | req/s | tok/s | e2e P50/P95/P99 ms | TTFT ms | goodput "
                "| GPU % | W | client | verdict |\n|---|---|---|---|---|---|---|---|---|---|---|"
            )
            for number, (rate, prompts) in enumerate(options.points):
                profile = Profile(
                    rate=rate, seed=number + 1, warmup_seconds=3, steady_seconds=options.seconds,
                    cooldown_seconds=1, output_tokens=options.output_tokens, targets=TARGETS,
                    objective=Objective(latency=0.5), prefix_cache=True,
                )  # fmt: skip
                point(slot, profile, prompts, options)


if __name__ == "__main__":
    main()
