"""`python -m tests.testbed up|down|status`: the testbed from a shell."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from cloud_assets.cli import output
from resources.errors import AiHowError
from tests.testbed import cluster
from tests.testbed.cluster import Cluster
from tests.testbed.kubectl import Kubectl
from tests.testbed.progress import say


def main(arguments: Sequence[str]) -> int:
    """The exit status: 0, or 1 after an error, whose text and hint are on standard error."""
    parser = argparse.ArgumentParser(prog="python -m tests.testbed", description=__doc__)
    parser.add_argument("command", choices=["up", "down", "status"])
    parser.add_argument("--json", action="store_true", help="answer with a document")
    chosen = parser.parse_args(arguments)
    try:
        _COMMANDS[chosen.command](as_json=chosen.json)
    except AiHowError as problem:
        output.error(problem)
        return 1
    return 0


def _up(*, as_json: bool) -> None:
    found = cluster.up()
    cluster.keep()
    _show(found, as_json=as_json)
    say(f"ready: export KUBECONFIG={found.kubeconfig}")


def _down(*, as_json: bool) -> None:
    ended = cluster.down()
    if as_json:
        output.json_document({"ended": ended})
    else:
        say(f"down: ended {len(ended)} processes")


def _status(*, as_json: bool) -> None:
    _show(cluster.running(), as_json=as_json)


def _show(found: Cluster, *, as_json: bool) -> None:
    nodes, pods = _nodes(found.kubectl), _pods(found.kubectl)
    endpoint = found.s3.endpoint if found.s3 else None
    if as_json:
        output.json_document(
            {"kubeconfig": str(found.kubeconfig), "s3": endpoint, "nodes": nodes, "pods": pods}
        )
        return
    output.line(f"kubeconfig  {found.kubeconfig}")
    if endpoint:
        output.line(f"s3          {endpoint}")
    for rows in (nodes, pods):
        output.table(list(rows[0]) if rows else ["none"], [list(each.values()) for each in rows])


def _nodes(ask: Kubectl) -> list[dict[str, str]]:
    return [
        {
            "node": each["metadata"]["name"],
            "ready": _ready(each),
            "version": each["status"]["nodeInfo"]["kubeletVersion"],
        }
        for each in ask.get("nodes")["items"]
    ]


def _pods(ask: Kubectl) -> list[dict[str, str]]:
    return [
        {
            "pod": f"{each['metadata']['namespace']}/{each['metadata']['name']}",
            "phase": each["status"]["phase"],
            "ready": _ready(each),
            "node": each["spec"].get("nodeName", "none"),
        }
        for each in ask.get("pods", "--all-namespaces")["items"]
    ]


def _ready(found: Any) -> str:
    conditions = found["status"].get("conditions", [])
    return next((str(each["status"]) for each in conditions if each["type"] == "Ready"), "Unknown")


_COMMANDS = {"up": _up, "down": _down, "status": _status}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
