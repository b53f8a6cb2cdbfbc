"""`validate`, `render`, `topology`, `schema`: mostly the file alone; they stand below no word."""

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
            help="Look at the file alone, and not at the devices of this host.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Check all of cluster.yaml, list its virtual machines, and look for their devices here.

    Ends with 2 where the file is wrong, and with 1 where it is right and this host cannot pass the
    devices on. Where this host has none of them the file is another's: that is only a warning.
    """
    from cloud_assets.cli.commands.cluster_file import validate

    validate(config, looks_at_host=not skip_pcie_validation, as_json=as_json)


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
