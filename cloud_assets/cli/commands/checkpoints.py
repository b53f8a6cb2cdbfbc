"""`checkpoints`: why is it not serving yet?"""

from dataclasses import asdict
from datetime import UTC, datetime

from cloud_assets.cli import output
from cloud_assets.cli.progress import read_progress
from cloud_assets.settings_file import load_settings
from resources.dagster.graphql import DagsterGraphQL

COLUMNS = ("checkpoint", "stage", "state", "since")
SENTENCES = ("reason", "fix")


def checkpoints(*, as_json: bool) -> None:
    settings = load_settings()
    found = read_progress(settings, DagsterGraphQL(settings.dagster_url))
    if as_json:
        output.json_document([asdict(progress) for progress in found])
        return
    rows = [
        {**asdict(each), "since": datetime.fromtimestamp(each.since, UTC) if each.since else None}
        for each in found
    ]
    if not rows:
        output.note("no checkpoint under " + ", ".join(str(root.path) for root in settings.roots))
        return
    output.records(COLUMNS, rows, as_json=False, sentences=SENTENCES)
