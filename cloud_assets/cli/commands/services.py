"""`services status` and `services apply`: how the MLOps services stand, and making them so."""

import getpass
from collections.abc import Iterator, Sequence
from typing import Any

from cloud_assets.cli import output
from cloud_assets.cli.commands.requests import require_success
from cloud_assets.services.catalogue import chosen
from cloud_assets.services.service import Service
from cloud_assets.services.site import Site
from cloud_assets.settings import Settings
from cloud_assets.settings_file import load_settings
from cloud_assets.stages import SERVICES_JOB
from resources.dagster.graphql import DagsterGraphQL

REQUESTED_BY_TAG = "ai-how/requested-by"
_NONE = "no service is the platform's; name some under `platform.services`"


def status(*, as_json: bool) -> None:
    """Ask the cluster itself; nothing is changed."""
    settings = load_settings()
    rows = list(_standing(settings))
    if not rows and not as_json:
        output.note(_NONE)
        return
    output.records(
        ("service", "state", "images", "address"), rows, as_json=as_json, sentences=("reason",)
    )


def apply(names: Sequence[str], *, dry_run: bool, as_json: bool) -> None:
    """By a run of the graph; a dry run asks the cluster what that would change."""
    settings = load_settings()
    found = chosen(settings, tuple(names))
    if not found:
        output.note(_NONE)
    elif dry_run:
        _show(_planned(settings, found), "would change", as_json=as_json)
    else:
        _show(_applied(settings, found, whole=not names), "changed", as_json=as_json)


def _standing(settings: Settings) -> Iterator[dict[str, Any]]:
    site = Site.of(settings)
    for each in chosen(settings, ()):
        stands = each.convergence.status(site)
        yield {
            "service": each.name,
            "state": stands.state,
            "images": ", ".join(stands.images),
            "address": next(iter(each.links(site).values()), ""),
            "reason": stands.reason,
        }


def _planned(settings: Settings, services: Sequence[Service]) -> list[dict[str, Any]]:
    site = Site.of(settings)
    return [
        {"service": each.name, **_row(str(change))}
        for each in services
        for change in each.convergence.plan(site)
        if change.outcome != "unchanged"
    ]


def _row(change: str) -> dict[str, str]:
    """As a plan and a run both write it: what became of an object, and of which fields."""
    outcome, _, fields = change.partition(": ")
    return {"change": outcome, "fields": fields}


def _applied(
    settings: Settings, services: Sequence[Service], *, whole: bool
) -> list[dict[str, Any]]:
    graph = DagsterGraphQL(settings.dagster_url)
    names = [each.name for each in services]
    tags = {REQUESTED_BY_TAG: getpass.getuser()}
    run_id = graph.submit(SERVICES_JOB, assets=() if whole else names, tags=tags)
    output.note(f"{', '.join(names)}: run {run_id}")
    require_success(graph, run_id, "apply the services")
    rows = []
    for name in names:
        event = next(each for each in graph.events(name, limit=1) if each.run_id == run_id)
        rows += [{"service": name, **_row(each)} for each in event.metadata["changes"]]
    return rows


def _show(rows: list[dict[str, Any]], what: str, *, as_json: bool) -> None:
    if not rows and not as_json:
        output.note(f"nothing {what}")
        return
    output.records(("service", "change"), rows, as_json=as_json, sentences=("fields",))
