"""Imported by the fork server before the first run: leaves in memory all that a run worker imports.

Running one empty job imports what Dagster imports late; it starts no thread that a fork would lose.
"""

import dagster_graphql  # noqa: F401  # named by workspace tooling that the worker's CLI loads
import mlflow.entities
import mlflow.tracking  # noqa: F401
from dagster import DagsterInstance, asset, materialize
from dagster._cli import create_dagster_cli


@asset
def warm_up() -> None:
    """Nothing; never part of the graph."""


create_dagster_cli()
with DagsterInstance.ephemeral() as _instance:
    materialize([warm_up], instance=_instance)
