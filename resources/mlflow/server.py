"""MLflow's own server as one process: its command line becomes the web server it would start.

`mlflow server` waits for a child that outlives its kill and keeps the port. Run as
`python -m resources.mlflow.server --port 5000 …`, with the options of `mlflow server`.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn


def become(
    command: Sequence[str], *, extra_env: Mapping[str, str] | None = None, **_: Any
) -> NoReturn:
    """In the place of `mlflow.utils.process._exec_cmd`: the same, without a child."""
    os.execvpe(command[0], list(command), {**os.environ, **(extra_env or {})})


def main() -> None:
    """Let MLflow prepare its database and environment, and turn into its web server."""
    import mlflow.server
    from mlflow.cli import cli

    vars(mlflow.server)["_exec_cmd"] = become
    cli(args=["server", *sys.argv[1:]], prog_name="mlflow")


if __name__ == "__main__":
    main()
