"""A run, an artifact and a registered version as a trainer makes them, looked for below MLflow."""

import time
import uuid
from urllib.parse import urlsplit

from cloud_assets.services.access import database, registry_url, s3
from cloud_assets.services.site import Site
from cloud_assets.services.trials import outcome
from cloud_assets.services.trials.outcome import Problem
from resources.mlflow.records import Records, Run

NAME = "ai-how-check"
_ARTIFACT = "check.txt"


def run_and_version_are_kept(site: Site) -> outcome.Outcome:
    """Row in PostgreSQL and object in the bucket, as far as these are the platform's.

    The artifact goes to the bucket past MLflow, as every client's does. Raises what they raise.
    """
    began = time.monotonic()
    with registry_url(site) as url:
        records = Records(url)
        run = records.start(NAME)
        number = None
        try:
            problems = _keep_artifact(site, records, run)
            number = records.register(NAME, run)
            problems += _look_for_rows(site, run, number)
        finally:
            records.remove(NAME, number, run)
    seconds = round(time.monotonic() - began, 3)
    return outcome.of(problems, artifacts=run.artifact_uri.rpartition("/")[0], seconds=seconds)


def _keep_artifact(site: Site, records: Records, run: Run) -> list[Problem]:
    where = urlsplit(run.artifact_uri)
    if where.scheme != "s3":
        return [Problem(f"artifacts go to {where.scheme}, through MLflow, and not to a bucket")]
    if site.settings.services.minio is None:
        return []
    name = f"{where.path.strip('/')}/{_ARTIFACT}"
    with s3(site) as buckets:
        content = uuid.uuid4().bytes
        buckets.put(where.netloc, name, content)
        try:
            if buckets.get(where.netloc, name) != content:
                return [Problem("the bucket gives back other bytes than it was given")]
            seen = records.artifacts(run.run_id)
        finally:
            buckets.remove(where.netloc, name)
    return [] if _ARTIFACT in seen else [Problem("MLflow does not see what is in the bucket")]


def _look_for_rows(site: Site, run: Run, number: int) -> list[Problem]:
    if site.settings.services.postgresql is None:
        return []
    with database(site) as asked:
        runs = asked.query("SELECT 1 FROM runs WHERE run_uuid = %s", [run.run_id])
        versions = asked.query(
            "SELECT 1 FROM model_versions WHERE name = %s AND version = %s AND run_id = %s",
            [NAME, number, run.run_id],
        )
    wanted = {"run": runs, "registered version": versions}
    return [
        Problem(f"the {what} has no row in PostgreSQL") for what, rows in wanted.items() if not rows
    ]
