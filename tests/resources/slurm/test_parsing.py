"""Reading what Slurm's commands print, of 22.05 and of later versions, whole and damaged."""

import json

import pytest

from resources.errors import PermanentError, TransientError
from resources.slurm import parsing

NODE = {"name": "node-01", "state": "mixed", "state_flags": ["DRAIN"], "reason": "x y",
        "address": "127.0.0.1", "gres": "gpu:fake:2", "gres_used": "gpu:fake:1(IDX:0)",
        "partitions": ["gpu"]}  # fmt: skip
JOB = {"job_id": 7, "name": "train", "user_name": "ada", "job_state": "PENDING",
       "state_reason": "Resources", "partition": "gpu", "nodes": "", "node_count": 1, "tasks": 1,
       "submit_time": 1795548980}  # fmt: skip


@pytest.mark.parametrize("text", ["", "sinfo: error: x", "[]", "3", '{"nodes": ['])
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(PermanentError):
        parsing.document(text, "list its nodes")


def test_an_answer_that_tells_of_a_silent_controller_is_no_empty_list() -> None:
    text = json.dumps({"errors": [{"error": "Unspecified error", "errno": -1}], "nodes": []})
    with pytest.raises(TransientError, match="Unspecified error"):
        parsing.document(text, "list its nodes")


@pytest.mark.parametrize(
    ("told", "count"),
    [
        ("", 0),
        ("(null)", 0),
        ("gpu", 1),
        ("gpu:a100", 1),
        ("gpu:2", 2),
        ("gpu:3090:2", 2),
        ("gpu:fake:0(IDX:N/A)", 0),
        ("gres:gpu:fake:2(S:0-1)", 2),
        ("gres/gpu=4", 4),
        ("gpu:a100:2,gpu:h100:1,shard:8", 3),
        ("craynetwork:4", 0),
    ],
)
def test_gpus_are_counted(told: str, count: int) -> None:
    assert parsing.gpus(told) == count


def test_a_node_that_is_left_has_a_reason_and_jobs_on_it() -> None:
    (node,) = parsing.nodes({"nodes": [NODE]})
    assert (node.takes_no_jobs, node.is_drained, node.reason) == (True, False, "x y")
    assert (node.gpus, node.gpus_used) == (2, 1)


def test_states_are_read_in_the_form_of_later_versions() -> None:
    (node,) = parsing.nodes({"nodes": [{**NODE, "state": ["IDLE", "DRAIN"], "state_flags": None}]})
    assert node.is_drained


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({}, 0),
        ({"tres_per_node": "gres:gpu:2"}, 2),
        ({"tres_per_node": "gres:gpu:2", "node_count": 3}, 6),
        ({"tres_per_job": "gres:gpu:5", "node_count": 3}, 5),
        ({"tres_per_task": "gres/gpu:1", "tasks": {"set": True, "number": 4}}, 4),
    ],
)
def test_a_job_asks_for_gpus(asked: dict[str, object], count: int) -> None:
    (job,) = parsing.jobs({"jobs": [{**JOB, **asked}]})
    assert job.gpus == count


def test_a_job_waits_or_runs() -> None:
    waits, runs = parsing.jobs({"jobs": [JOB, {**JOB, "job_id": 8, "job_state": ["RUNNING"]}]})
    assert (waits.is_pending, waits.is_running, waits.reason) == (True, False, "Resources")
    assert (runs.is_pending, runs.is_running) == (False, True)
