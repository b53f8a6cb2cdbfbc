"""The JSON of `sinfo` and `squeue` into records. Pure.

That of 22.05 has plain words and numbers where later versions have lists and `{set, number}`.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from resources.errors import PermanentError
from resources.slurm.failures import SYSTEM, failure
from resources.slurm.records import Job, Node

#: `gpu:2`, `gres:gpu:3090:2(S:0)`, `gres/gpu=2`, `gpu:a100`: a kind may stand before the number.
_GPU = re.compile(r"\bgpu(?::[\w.-]+(?=[:=]\d))?(?:[:=](\d+))?")
Document = Mapping[str, Any]


def document(text: str, action: str) -> Document:
    """An answer. Raises the error that it tells of, PermanentError where it is no JSON.

    The commands end with 0 and an empty list where the controller did not answer.
    """
    try:
        found = json.loads(text)
    except ValueError as error:
        hint = "have Slurm 22.05 or newer, with its JSON serializer"
        raise PermanentError(SYSTEM, action, "its answer is not JSON", hint=hint) from error
    problems = found.get("errors") or [] if isinstance(found, dict) else ["no document"]
    if problems:
        raise failure("; ".join(map(_problem, problems)), action)
    return dict(found)


def nodes(found: Document) -> tuple[Node, ...]:
    """All nodes by name."""
    return tuple(sorted(map(_node, found.get("nodes") or ()), key=lambda each: each.name))


def jobs(found: Document) -> tuple[Job, ...]:
    """All jobs that Slurm still knows, finished ones for some minutes, by number."""
    return tuple(sorted(map(_job, found.get("jobs") or ()), key=lambda each: each.number))


def gpus(told: str) -> int:
    """How many GPUs a list such as `gpu:fake:2(IDX:0-1),shard:4` has; one where none is told."""
    plain = re.sub(r"\([^)]*\)", "", told)
    return sum(int(each[1] or 1) for each in _GPU.finditer(plain))


def _node(found: Document) -> Node:
    return Node(
        name=str(found.get("name", "")),
        states=frozenset(_words(found.get("state")) | _words(found.get("state_flags"))),
        reason=str(found.get("reason") or ""),
        address=str(found.get("address") or ""),
        gpus=gpus(str(found.get("gres") or "")),
        gpus_used=gpus(str(found.get("gres_used") or "")),
        partitions=tuple(found.get("partitions") or ()),
    )


def _job(found: Document) -> Job:
    submitted = _number(found.get("submit_time"))
    return Job(
        number=_number(found.get("job_id")),
        name=str(found.get("name") or ""),
        user=str(found.get("user_name") or ""),
        state=next(iter(_listed(found.get("job_state"))), "").upper(),
        reason=str(found.get("state_reason") or ""),
        partition=str(found.get("partition") or ""),
        nodes=str(found.get("nodes") or ""),
        gpus=_asked(found),
        submitted=datetime.fromtimestamp(submitted, UTC) if submitted else None,
    )


def _asked(found: Document) -> int:
    """For the whole job, else a node's or a task's times their number."""
    whole = gpus(str(found.get("tres_per_job") or ""))
    each_node = gpus(str(found.get("tres_per_node") or ""))
    each_task = gpus(str(found.get("tres_per_task") or ""))
    many_nodes = max(1, _number(found.get("node_count")))
    many_tasks = max(1, _number(found.get("tasks")))
    return whole or each_node * many_nodes or each_task * many_tasks


def _words(found: Any) -> set[str]:
    return {word.upper() for each in _listed(found) for word in str(each).split("+") if word}


def _listed(found: Any) -> list[Any]:
    if isinstance(found, list):
        return found
    return [] if found is None else [found]


def _number(found: Any) -> int:
    value = found.get("number") if isinstance(found, Mapping) else found
    return int(value or 0)


def _problem(found: Any) -> str:
    if not isinstance(found, Mapping):
        return str(found)
    said = [str(found[key]) for key in ("description", "error") if found.get(key)]
    return ": ".join(said) or str(dict(found))
