"""One load from several clients: who sends what, and one result of all. Pure.

Every n-th request of the schedule is a client's, so each sees the same arrival process thinned, and
all count their seconds from the same moment.
"""

from collections.abc import Sequence
from dataclasses import replace

from resources.load.run import ClientFacts, LoadPlan, LoadResult


def share(plan: LoadPlan, number: int, of: int) -> LoadPlan:
    """What client `number`, from 0, of `of` sends."""
    return replace(plan, requests=plan.requests[number::of])


def together(results: Sequence[LoadResult]) -> LoadResult:
    """The result of all clients, in the order of their numbers; rows as in the whole plan.

    The clients' facts are those of the worst: the load is as good as the client that lagged most.
    """
    of = len(results)
    rows = [
        replace(row, number=row.number * of + number)
        for number, result in enumerate(results)
        for row in result.rows
    ]
    return LoadResult(
        rows=tuple(sorted(rows, key=lambda row: row.number)),
        scheduled=sum(each.scheduled for each in results),
        client=_worst([each.client for each in results]),
    )


def _worst(facts: Sequence[ClientFacts]) -> ClientFacts:
    return ClientFacts(
        started_at=min(each.started_at for each in facts),
        wall_seconds=max(each.wall_seconds for each in facts),
        cpu_share=max(each.cpu_share for each in facts),
        lag_p50=max(each.lag_p50 for each in facts),
        lag_p99=max(each.lag_p99 for each in facts),
        locust_version=facts[0].locust_version,
        locust_requests=sum(each.locust_requests for each in facts),
        locust_p50=max(each.locust_p50 for each in facts),
        locust_p95=max(each.locust_p95 for each in facts),
    )
