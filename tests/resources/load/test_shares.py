"""Several clients send what one would, and what they measured reads as one."""

from dataclasses import replace

import pytest

from resources.load.pod_program import joined, pieces
from resources.load.rows import RequestRow
from resources.load.run import ClientFacts, LoadPlan, LoadResult, PlannedRequest
from resources.load.shares import share, together

PLAN = LoadPlan(
    url="http://127.0.0.1:1", model="m", prompts=({"prompt": "x"},), max_tokens=1,
    requests=tuple(PlannedRequest(number / 10, "steady", 0) for number in range(7)),
)  # fmt: skip
FACTS = ClientFacts(100.0, 5.0, 0.2, 0.001, 0.01, "2.47.0", 4, 0.1, 0.2)


def row(number: int, intended: float) -> RequestRow:
    return RequestRow(
        number=number, phase="steady", prompt=0, intended=intended, sent=intended, headers=None,
        first_token=None, chunks=(), end=intended + 1, status=200, error=None, reason="",
        finish_reason=None, prompt_tokens=None, output_tokens=1,
    )  # fmt: skip


def result_of(plan: LoadPlan, facts: ClientFacts = FACTS) -> LoadResult:
    rows = tuple(row(number, each.offset) for number, each in enumerate(plan.requests))
    return LoadResult(rows, len(plan.requests), facts)


@pytest.mark.parametrize("clients", [1, 2, 3, 7, 9])
def test_every_request_is_sent_by_one_client(clients: int) -> None:
    shares = [share(PLAN, number, clients).requests for number in range(clients)]
    assert sorted(each.offset for part in shares for each in part) == [
        each.offset for each in PLAN.requests
    ]


@pytest.mark.parametrize("clients", [1, 2, 3, 7])
def test_together_they_have_the_rows_of_the_whole_plan(clients: int) -> None:
    found = together([result_of(share(PLAN, number, clients)) for number in range(clients)])
    assert found.rows == result_of(PLAN).rows
    assert found.scheduled == len(PLAN.requests)


def test_a_load_is_as_good_as_its_worst_client() -> None:
    slow = replace(FACTS, lag_p99=0.5, cpu_share=0.9, started_at=101.0)
    found = together([result_of(PLAN, FACTS), result_of(PLAN, slow)]).client
    assert (found.lag_p99, found.cpu_share, found.started_at) == (0.5, 0.9, 100.0)
    assert found.locust_requests == 8


@pytest.mark.parametrize("lines", [0, 1, 5000])
def test_rows_go_through_a_log_in_lines_that_are_not_cut(lines: int) -> None:
    rows = "".join(f'{{"number": {number}}}\n' for number in range(lines))
    texts = list(pieces(rows.encode()))
    assert joined(iter(texts)) == rows
    assert all(len(each) <= 8192 for each in texts)
