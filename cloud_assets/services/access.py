"""Using the services as their clients do: where they are reached, and with whose keys."""

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from cloud_assets.services.manifests import minio, mlflow, postgresql
from cloud_assets.services.manifests.credentials import Credentials
from cloud_assets.services.site import Site
from resources.buckets import Buckets
from resources.errors import NeedsRepair, TransientError
from resources.kubernetes import Change, Reference
from resources.postgresql import Database

_BUCKET = ("s3", "Bucket")


@contextmanager
def s3(site: Site) -> Iterator[Buckets]:
    """The S3 server, with the account of its Secret."""
    keys = secret(site, minio.credentials(site.settings))
    with site.reached(minio.NAME, minio.PORT) as where:
        yield Buckets(f"http://{where}", keys[minio.ACCESS_KEY], keys[minio.SECRET_KEY])


@contextmanager
def database(site: Site) -> Iterator[Database]:
    """MLflow's database, as MLflow's user."""
    keys = secret(site, postgresql.credentials(site.settings))
    with site.reached(postgresql.NAME, postgresql.PORT) as where:
        host, _, port = where.rpartition(":")
        yield Database(
            host, int(port), postgresql.DATABASE, postgresql.USER, keys[postgresql.PASSWORD_KEY]
        )


@contextmanager
def registry_url(site: Site) -> Iterator[str]:
    """The address of MLflow from here."""
    with site.reached(mlflow.NAME, mlflow.PORT) as where:
        yield f"http://{where}"


def secret(site: Site, wanted: Credentials) -> Mapping[str, str]:
    """What a Secret holds. Raises NeedsRepair where it or one of its keys is not there."""
    reference = Reference("v1", "Secret", wanted.name, wanted.namespace)
    found = (site.kubernetes.get(reference) or {}).get("data") or {}
    missing = sorted(wanted.keys - found.keys())
    if missing:
        reason = f"it lacks {', '.join(missing)}"
        hint = "`ai-how services apply` makes the Secret where it is not there"
        raise NeedsRepair("Kubernetes", f"read {reference}", reason, hint=hint)
    return {key: base64.b64decode(found[key]).decode() for key in wanted.keys}


def have_buckets(site: Site, *, dry_run: bool) -> list[Change]:
    """The platform's buckets on the S3 server, made where they are missing."""
    try:
        with s3(site) as buckets:
            there = buckets.existing()
            made = frozenset(minio.BUCKETS) - there if dry_run else buckets.ensure(minio.BUCKETS)
    except (NeedsRepair, TransientError):
        if not dry_run:
            raise
        # It is yet to come up.
        made = frozenset(minio.BUCKETS)
    return [
        Change(Reference(*_BUCKET, each), "created" if each in made else "unchanged")
        for each in minio.BUCKETS
    ]
