"""The entry point of `ai-how`: what its commands are called, and the one place that ends in exit 1.

Commands import what they need when they run, so that `--help` is there at once.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cloud_assets.cli import output
from cloud_assets.cli.commands import gpu
from resources.errors import AiHowError, UsageError

app = typer.Typer(
    name="ai-how",
    help="From a training checkpoint to a measured, promoted endpoint.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

services = typer.Typer(
    help="The MLOps services on the cluster.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(services, name="services")
for _name, _group in gpu.groups():
    app.add_typer(_group, name=_name)

Json = Annotated[bool, typer.Option("--json", help="Print JSON to stdout.")]
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
Config = Annotated[Path | None, typer.Argument(help="The file; by default that in force.")]
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


@services.command("status")
def services_status(as_json: Json = False) -> None:
    """Say of every service of the platform how it stands, and why where it does not run."""
    from cloud_assets.cli.commands.services import status

    status(as_json=as_json)


@services.command("apply")
def services_apply(
    names: Annotated[
        list[str] | None, typer.Argument(help="Services that the settings name; all without.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Ask the cluster what would change; change nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make the services what the settings say, wait until they are up and try them out."""
    from cloud_assets.cli.commands.services import apply

    apply(names or (), dry_run=dry_run, as_json=as_json)


@app.command()
def validate(
    config: Config = None,
    skip_pcie_validation: Annotated[
        bool,
        typer.Option(
            "--skip-pcie-validation",
            help="Taken as before; the file alone is looked at in any case.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Check all of cluster.yaml, and list the virtual machines that it asks for."""
    from cloud_assets.cli.commands.cluster_file import validate

    validate(config, as_json=as_json)


@app.command()
def render(
    template: Annotated[Path, typer.Argument(help="A cluster.yaml with variables.")],
    target: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write it.")
    ] = None,
    show_variables: Annotated[
        bool, typer.Option("--show-variables", help="Say which variables it has.")
    ] = False,
    validate_only: Annotated[
        bool,
        typer.Option(
            "--validate-only",
            help="Look only at how its variables are written; they need not be set.",
        ),
    ] = False,
) -> None:
    """Print a file with the values of its variables, `$A`, `${A:-word}`, `${A:?why}`, `$TOT`."""
    from cloud_assets.cli.commands.cluster_file import render

    render(template, target=target, show_variables=show_variables, validate_only=validate_only)


@app.command()
def topology(
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="The file; by default that in force.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw the clusters with their networks, virtual machines and GPUs, as the file has them."""
    from cloud_assets.cli.commands.topology import topology

    topology(config, as_json=as_json)


@app.command()
def schema() -> None:
    """Print the JSON Schema of cluster.yaml."""
    from cloud_assets.cli.commands.cluster_file import schema

    schema()


@app.callback()
def _settings(
    cluster: Annotated[
        Path | None,
        typer.Option(help="The settings file.", envvar="AI_HOW_CLUSTER", show_envvar=True),
    ] = None,
) -> None:
    if cluster is not None:
        import os

        os.environ["AI_HOW_CLUSTER"] = str(cluster)


def main() -> None:
    """Run the command line; every expected failure ends in `error: …` and a hint."""
    try:
        app()
    except UsageError as error:
        output.error(error)
        sys.exit(2)
    except AiHowError as error:
        output.error(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)


if __name__ == "__main__":
    main()
