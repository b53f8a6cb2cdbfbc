"""The entry point of `ai-how`: what its commands are called, and the one place that ends in exit 1.

Commands import what they need when they run, so that `--help` is there at once.
"""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cloud_assets.cli import output
from cloud_assets.cli.groups import (
    cluster_file,
    guests,
    inventory,
    machines,
    services,
    snapshots,
    system,
)
from cloud_assets.cli.groups.options import Json
from resources.errors import AiHowError, UsageError

app = typer.Typer(
    name="ai-how",
    help="From a training checkpoint to a measured, promoted endpoint.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

#: Groups by the word before their commands; those of None have none.
GROUPS = (
    ("services", services.app),
    (None, cluster_file.app),
    ("plan", machines.plan_app),
    ("vm", machines.vm_app),
    (None, guests.app),
    ("snapshot", snapshots.app),
    ("hpc", machines.hpc_app),
    ("cloud", machines.cloud_app),
    ("system", system.app),
    *inventory.groups(),
)
for word, commands in GROUPS:
    app.add_typer(commands, name=word)

Key = Annotated[str, typer.Argument(help="A checkpoint key, `model.run.step`.")]
Watch = Annotated[
    bool,
    typer.Option(
        "--watch",
        "-w",
        help="Go on until Ctrl-C: redraw the table, or in a pipe print a line a change; "
        "with `--json` one document a line and change.",
    ),
]
Why = Annotated[str, typer.Option("--reason", help="Why; kept with the release.")]


@app.command()
def up() -> None:
    """Start the platform, or mend what of it does not run."""
    from cloud_assets.cli.commands.platform import up

    up()


@app.command()
def down() -> None:
    """End the platform and every process that it started."""
    from cloud_assets.cli.commands.platform import down

    down()


@app.command()
def status(as_json: Json = False) -> None:
    """Show what runs, and where."""
    from cloud_assets.cli.commands.platform import status

    status(as_json=as_json)


@app.command()
def logs(
    program: Annotated[str, typer.Argument(help="A name that `ai-how status` lists.")],
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many lines.")] = 50,
) -> None:
    """Print the last lines of a program's log."""
    from cloud_assets.cli.commands.platform import logs

    logs(program, lines)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check this machine and the settings, with the fix for what is wrong."""
    from cloud_assets.cli.commands.doctor import doctor

    doctor(as_json=as_json)


@app.command()
def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Check the outcome, tear down, exit 0 or 1.")
    ] = False,
) -> None:
    """Train a tiny model and watch its checkpoints become an endpoint."""
    from cloud_assets.cli.commands.demo import demo

    demo(once=once)


@app.command()
def checkpoints(as_json: Json = False, watch: Watch = False) -> None:
    """Say of every checkpoint how far it came, and why not further."""
    from cloud_assets.cli.commands.checkpoints import checkpoints

    checkpoints(as_json=as_json, watch=watch)


@app.command()
def endpoint(as_json: Json = False) -> None:
    """List the stable endpoints and what is behind each."""
    from cloud_assets.cli.commands.endpoints import endpoint

    endpoint(as_json=as_json)


@app.command()
def ask(
    model: Annotated[str, typer.Argument(help="A model that `ai-how endpoint` lists.")],
    prompt: Annotated[str, typer.Argument(help="What to ask.")],
    max_tokens: Annotated[int, typer.Option(help="The longest answer, in tokens.")] = 128,
    plain: Annotated[
        bool, typer.Option("--plain", help="Let it go on with the text, without a chat template.")
    ] = False,
) -> None:
    """Send a prompt to an endpoint and print the answer as it comes."""
    from cloud_assets.cli.commands.endpoints import ask

    ask(model, prompt, max_tokens=max_tokens, plain=plain)


@app.command()
def bench(
    keys: Annotated[list[str], typer.Argument(help="Checkpoint keys.")], as_json: Json = False
) -> None:
    """Load-test checkpoints anew, one after the other, and wait for the reports."""
    from cloud_assets.cli.commands.requests import bench

    bench(keys, as_json=as_json)


@app.command()
def promote(key: Key, reason: Why = "", as_json: Json = False) -> None:
    """Put a checkpoint behind its model's endpoint, whatever the gates said."""
    from cloud_assets.cli.commands.requests import promote

    promote(key, reason=reason, as_json=as_json)


@app.command()
def rollback(
    model: Annotated[str, typer.Argument(help="A model name.")],
    reason: Why = "",
    as_json: Json = False,
) -> None:
    """Put the previous champion of a model back behind its endpoint."""
    from cloud_assets.cli.commands.requests import rollback

    rollback(model, reason=reason, as_json=as_json)


class Level(StrEnum):
    """From which level on a log tells."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"


@app.callback()
def _settings(
    cluster: Annotated[
        Path | None,
        typer.Option(help="The settings file.", envvar="AI_HOW_CLUSTER", show_envvar=True),
    ] = None,
    log_level: Annotated[
        Level | None,
        typer.Option(case_sensitive=False, help="Log to standard error from this level on."),
    ] = None,
    log_file: Annotated[
        Path | None, typer.Option(help="Log to this file instead; from INFO on, if not said.")
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log everything, as `--log-level DEBUG` does.")
    ] = False,
    state: Annotated[
        Path | None, typer.Option(help="Taken as before; there is no state file, libvirt is asked.")
    ] = None,
) -> None:
    if cluster is not None:
        import os

        os.environ["AI_HOW_CLUSTER"] = str(cluster)
    if state is not None:
        output.note(f"{state} is not used: there is no state file, libvirt itself is asked")
    if log_level or log_file or verbose:
        from cloud_assets.cli import log

        log.begin("DEBUG" if verbose else (log_level or Level.INFO), log_file)


def main() -> None:
    """Run the command line; every expected failure ends in `error: …` and a hint."""
    try:
        app()
    except AiHowError as error:
        output.error(error)
        _log_end(error)
        sys.exit(2 if isinstance(error, UsageError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)


def _log_end(error: AiHowError) -> None:
    from cloud_assets.cli import log

    log.ended(error)


if __name__ == "__main__":
    main()
