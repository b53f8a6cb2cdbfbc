"""A tiny graph for real Dagster services: assets that wait, fail, or say what they were given.

A run worker that does not find this module in its fork server's memory imports it, and is held
there while the file of HOLD_VARIABLE is present.
"""

import os
import time
from pathlib import Path

import dagster as dg

HOLD_VARIABLE = "TEST_HOLD_IMPORT"
PAUSE_SECONDS = 0.02

while (held := os.environ.get(HOLD_VARIABLE)) and Path(held).exists():
    time.sleep(PAUSE_SECONDS)


class Directions(dg.Config):
    """Where the asset writes its process id, a line a start, and what it waits for there."""

    directory: str = ""

    def begun(self) -> None:
        with Path(self.directory, "pids").open("a") as file:
            file.write(f"{os.getpid()}\n")

    def wait(self) -> None:
        while not Path(self.directory, "go").exists():
            time.sleep(PAUSE_SECONDS)


@dg.asset(pool="gpu")
def waits(config: Directions) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Holds the one slot of its pool until told to go on."""
    config.begun()
    config.wait()
    return dg.MaterializeResult(
        metadata={
            "text": "words",
            "count": 3,
            "share": 0.5,
            "yes": True,
            "table": {"a": [1, 2]},
            "place": dg.MetadataValue.path("/tmp"),
            "page": dg.MetadataValue.url("http://127.0.0.1/page"),
        }
    )


@dg.asset
def quick() -> None:
    """Nothing."""


@dg.asset(deps=[quick])
def fails() -> None:
    """An error with a cause, of which only the cause is worth telling."""
    try:
        raise OSError("the disk is full")
    except OSError as error:
        raise RuntimeError("it went wrong") from error


@dg.asset(check_specs=[dg.AssetCheckSpec("sound", asset="unsound", blocking=True)])
def unsound() -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Materialised, but its blocking check fails."""
    found = dg.AssetCheckResult(check_name="sound", passed=False, description="it rings hollow")
    return dg.MaterializeResult(check_results=[found])


@dg.op(out=dg.Out(dg.Nothing))
def says(context: dg.OpExecutionContext) -> dg.Output[None]:
    """Two lines for whoever follows, one for nobody, and what it gives out."""
    context.log.info("one: begun")
    context.log.debug("one: a detail")
    context.log.warning("one: done")
    return dg.Output(None, metadata={"outcome": {"one": "done"}})


@dg.op
def refuses() -> None:
    """A failure that says what would mend it."""
    raise dg.Failure("the door is locked", metadata={"fix": "`unlock`"}, allow_retries=False)


@dg.job(executor_def=dg.in_process_executor)
def say() -> None:
    """One step."""
    says()


@dg.job(executor_def=dg.in_process_executor)
def refuse() -> None:
    """One step."""
    refuses()


defs = dg.Definitions(
    assets=[waits, quick, fails, unsound],
    jobs=[
        say,
        refuse,
        dg.define_asset_job("wait", [waits], executor_def=dg.in_process_executor),
        dg.define_asset_job("both", [quick, fails], executor_def=dg.in_process_executor),
        dg.define_asset_job("check", [unsound], executor_def=dg.in_process_executor),
    ],
)
