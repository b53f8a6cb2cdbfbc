"""The load client inside a pod: `python -m resources.load.pod_program`, started by `pods`.

Takes the plan from a mounted file and its share of it from its place among the pods, and sends the
raw rows back through Dagster Pipes, as messages in its log.
"""

import base64
import gzip
import os
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from dagster_pipes import open_dagster_pipes

from resources.load.run import LoadPlan, run_load
from resources.load.shares import share

MOUNT, PLAN = "/plan", "plan.json.gz"
#: Container runtimes cut lines of a log at 16 KiB.
PIECE = 8192


def main() -> None:
    with open_dagster_pipes() as pipes, tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        whole = place / "whole.json"
        whole.write_bytes(gzip.decompress((Path(MOUNT) / PLAN).read_bytes()))
        number = int(os.environ["JOB_COMPLETION_INDEX"])
        plan = share(LoadPlan.read(whole), number, pipes.get_extra("clients"))
        run_load(plan, work_directory=place)
        for piece in pieces((place / "rows.jsonl").read_bytes()):
            pipes.report_custom_message({"client": number, "rows": piece})


def pieces(rows: bytes) -> Iterator[str]:
    """Rows as texts that each fit into one line of a log; joined and decoded they are the rows."""
    text = base64.b64encode(zlib.compress(rows)).decode("ascii")
    for begin in range(0, len(text), PIECE):
        yield text[begin : begin + PIECE]


def joined(texts: Iterator[str]) -> str:
    """The rows that `pieces` cut."""
    return zlib.decompress(base64.b64decode("".join(texts))).decode("utf-8")


if __name__ == "__main__":
    main()
