"""Brings MLflow's tables to what its server needs: one replica at a time, by a lock of PostgreSQL.

Runs in the image of MLflow, before the server of each pod; knows nothing of the platform.
"""

import os

from mlflow.store.db import utils
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy import text

#: Any number that no other program of this database locks.
LOCK = 6_155_201_845


def main() -> None:
    """Create or upgrade the tables of `MLFLOW_BACKEND_STORE_URI`; others wait, and find it done."""
    url = os.environ["MLFLOW_BACKEND_STORE_URI"]
    engine = utils.create_sqlalchemy_engine_with_retry(url)
    with engine.connect() as holder:
        # Let go of with the connection, so that a killed pod blocks nobody.
        holder.execute(text("SELECT pg_advisory_lock(:number)"), {"number": LOCK})
        if utils._get_schema_version(engine) not in (None, utils._get_latest_schema_revision()):
            utils._upgrade_db(engine)
        # Makes the tables where there are none, or not all of them, and the default experiment.
        SqlAlchemyStore(url, os.environ["MLFLOW_DEFAULT_ARTIFACT_ROOT"])
    engine.dispose()


if __name__ == "__main__":
    main()
