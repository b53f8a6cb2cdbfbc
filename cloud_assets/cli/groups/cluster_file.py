"""`validate`, `render`, `topology`, `schema`: the file alone; they stand below no word."""

from pathlib import Path
from typing import Annotated

import typer

from cloud_assets.cli.groups.options import Config, Json

app = typer.Typer(rich_markup_mode=None)


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
    """Draw the clusters of the file with their machines and GPUs, and how libvirt has them now."""
    from cloud_assets.cli.commands.topology import topology

    topology(config, as_json=as_json)


@app.command()
def schema() -> None:
    """Print the JSON Schema of cluster.yaml."""
    from cloud_assets.cli.commands.cluster_file import schema

    schema()
