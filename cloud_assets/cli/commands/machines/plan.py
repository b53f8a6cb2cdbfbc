"""`plan`: what has to change so that the host has what the file asks for; nothing is changed."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cloud_assets.cli import output
from cloud_assets.machines.host import Host
from cloud_assets.machines.plan import Change, Options
from cloud_assets.settings_file import load_cluster_file
from resources import atomic

SYMBOLS = {
    "nothing": " ", "create": "+", "update": "~", "start": "~", "restart": "~",
    "replace": "-/+", "remove": "-",
}  # fmt: skip


def plan(
    path: Path | None, *, form: str, target: Path | None, whole: bool, options: Options
) -> int:
    """Print it, or write it to `target`; `whole` shows what is as it should be, too.

    Returns the exit code: 3 where something is not as the file says.
    """
    read = load_cluster_file(path)
    host = Host.of(read.platform.machines, read.clusters)
    with host.connected() as connection:
        found = host.outlook(connection, options)
    if not host.has_key():
        output.note(
            f"there is no public key {host.settings.ssh_public_key} yet, without which nothing is "
            "made: `ssh-keygen -t ed25519`, or name one by machines.ssh_public_key"
        )
    shown = found.changes if whole else found.pending
    if target is not None:
        text = "\n".join(_lines(shown, form))
        atomic.replace(target, f"{text}\n")
        output.note(f"wrote {target}")
    elif form == "json":
        output.json_document(document(shown))
    else:
        for line in _lines(shown, form):
            output.changed_line(line) if form == "text" else output.line(line)
    return output.DRIFT if found.pending else 0


def document(changes: Sequence[Change]) -> dict[str, Any]:
    """For programs: every change with its places, and how many there are of each action."""
    counts = Counter(each.action for each in changes)
    return {
        "changes": [{**asdict(each), "applies": each.applies} for each in changes],
        "counts": dict(counts),
    }


def _lines(changes: Sequence[Change], form: str) -> Iterator[str]:
    if form == "json":
        import json

        yield json.dumps(document(changes), indent=2)
    elif form == "markdown":
        yield from _markdown(changes)
    else:
        yield from _text(changes)


def _text(changes: Sequence[Change]) -> Iterator[str]:
    cluster = ""
    for each in changes:
        if each.cluster != cluster:
            cluster = each.cluster
            yield f"{cluster}:"
        yield f"{SYMBOLS[each.action]:>5} {_told(each)}"
        yield from (f"          {place}" for place in each.differences)
        if each.withheld:
            yield f"          withheld: {each.withheld}"
    yield summary(changes)


def _told(change: Change) -> str:
    action = "" if change.action == "nothing" else f"{change.action} "
    return f"{action}{change.what} {change.name}: {change.why}"


def summary(changes: Sequence[Change]) -> str:
    """How many of what, in a line."""
    applied = Counter(each.action for each in changes if each.applies)
    withheld = sum(1 for each in changes if each.withheld)
    words = [f"{number} to {action}" for action, number in sorted(applied.items())]
    words += [f"{withheld} withheld"] if withheld else []
    return ", ".join(words) or "nothing to do: all is as the file says"


def _markdown(changes: Sequence[Change]) -> Iterator[str]:
    yield "| | what | why | places | withheld |"
    yield "|---|---|---|---|---|"
    for each in changes:
        places = "<br>".join(f"`{place}`" for place in each.differences)
        cells = (SYMBOLS[each.action].strip(), f"{each.what} `{each.name}`", each.why, places,
                 each.withheld)  # fmt: skip
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
    yield ""
    yield summary(changes)
