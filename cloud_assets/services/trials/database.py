"""The database asked what is in force, and whether rows outlive its server."""

import time

from cloud_assets.services.access import database
from cloud_assets.services.manifests import postgresql
from cloud_assets.services.site import Site
from cloud_assets.services.trials import outcome
from cloud_assets.services.trials.outcome import Problem
from cloud_assets.settings import PostgreSQL
from resources.kubernetes import Reference, condition
from resources.postgresql import Database

_RESTART_SECONDS = 300.0
#: In a schema of its own: MLflow takes the default one for its own.
_SCHEMA = "ai_how_check"
_TABLE = f"{_SCHEMA}.starts"


def settings_in_force(site: Site) -> outcome.Outcome:
    """The parameters of the settings and both extensions. Raises what PostgreSQL raises."""
    wanted = site.settings.services.postgresql or PostgreSQL()
    with database(site) as asked:
        connections = int(asked.query("SHOW max_connections")[0][0])
        others = _not_from_the_file(asked, ["max_connections", *wanted.parameters])
        [(statements,)] = asked.query("SELECT count(*) FROM pg_stat_statements")
        installed = {name for (name,) in asked.query("SELECT extname FROM pg_extension")}
        asked.query("SELECT uuid_generate_v4()")
    problems = [Problem(f"{name} is not what the settings say") for name in others]
    if connections != wanted.max_connections:
        problems.append(Problem(f"max_connections is {connections}, not {wanted.max_connections}"))
    missing = sorted(set(postgresql.EXTENSIONS) - installed)
    problems += [Problem(f"the extension {each} is not there") for each in missing]
    return outcome.of(problems, max_connections=connections, statements_seen=int(statements))


def rows_survive(site: Site, *, restart: bool) -> outcome.Outcome:
    """Rows of earlier starts of the server are there; with `restart` it is started anew for it.

    Each start of the server that is looked at leaves a row.
    """
    with database(site) as asked:
        asked.query(f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA}")
        asked.query(f"CREATE TABLE IF NOT EXISTS {_TABLE} (started timestamptz PRIMARY KEY)")
        before = _rows(asked)
    seconds = _restart(site) if restart else 0.0
    with database(site) as asked:
        after = _rows(asked)
    lost = before - after
    problems = []
    if lost:
        problems.append(Problem(f"{len(lost)} of {len(before)} rows did not outlive a restart"))
    if restart and after == before:
        problems.append(Problem("the server was not started anew"))
    return outcome.of(
        problems, restarted=restart, starts_seen=len(after), restart_seconds=round(seconds, 3)
    )


def _rows(asked: Database) -> set[object]:
    """All starts, with this one."""
    asked.query(
        f"INSERT INTO {_TABLE} SELECT pg_postmaster_start_time() ON CONFLICT (started) DO NOTHING"
    )
    return {started for (started,) in asked.query(f"SELECT started FROM {_TABLE}")}


def _restart(site: Site) -> float:
    began = time.monotonic()
    pod = Reference("v1", "Pod", f"{postgresql.NAME}-0", site.settings.services.namespace)
    site.kubernetes.delete(pod, wait_seconds=_RESTART_SECONDS)
    site.kubernetes.wait(pod, condition("Ready"), timeout_seconds=_RESTART_SECONDS)
    return time.monotonic() - began


def _not_from_the_file(asked: Database, names: list[str]) -> list[str]:
    """Which of the parameters something else has set, or a restart is needed for."""
    rows = asked.query(
        "SELECT name FROM pg_settings WHERE name = ANY(%s) "
        "AND (source <> 'configuration file' OR pending_restart)",
        [names],
    )
    return sorted(name for (name,) in rows)
