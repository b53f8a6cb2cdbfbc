"""An object put into each bucket, read back, and removed."""

import time
import uuid

from cloud_assets.services.access import s3
from cloud_assets.services.manifests import minio
from cloud_assets.services.site import Site
from cloud_assets.services.trials import outcome
from cloud_assets.services.trials.outcome import Problem
from resources.buckets import Buckets

#: Apart from what anybody keeps there.
_PREFIX = ".ai-how-check/"
_BYTES = 64 * 1024


def buckets_work(site: Site) -> outcome.Outcome:
    """Raises what the S3 server raises."""
    began = time.monotonic()
    with s3(site) as server:
        problems = [problem for each in minio.BUCKETS if (problem := _try(server, each))]
    seconds = round(time.monotonic() - began, 3)
    return outcome.of(problems, buckets=len(minio.BUCKETS), seconds=seconds)


def _try(server: Buckets, bucket: str) -> Problem | None:
    name, content = f"{_PREFIX}{uuid.uuid4()}", uuid.uuid4().bytes * (_BYTES // 16)
    server.put(bucket, name, content)
    try:
        if server.get(bucket, name) != content:
            return Problem(f"the bucket {bucket} gives back other bytes than it was given")
        if name not in server.names(bucket, _PREFIX):
            return Problem(f"the bucket {bucket} does not list what is in it")
    finally:
        server.remove(bucket, name)
    return None
