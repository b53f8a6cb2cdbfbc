"""A tiny model served by KServe; where nothing can be served, KServe's webhooks asked at least."""

import json
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from cloud_assets.services.charts import kserve
from cloud_assets.services.site import Site
from cloud_assets.services.trials import outcome, space
from cloud_assets.services.trials.outcome import Problem
from cloud_assets.serving_site import serving_site
from cloud_assets.settings import Settings
from resources.errors import ExternalError, TransientError
from resources.kserve import KServe
from resources.kserve import Site as ServingSite
from resources.kubernetes import Kubernetes, Reference
from resources.object_store import ObjectStore
from resources.serving import Servable

_ROOT = Path(__file__).resolve().parents[3]
#: As a process of its own: what it takes to make a model is not the platform's business.
_WRITE = (
    "import sys; from pathlib import Path; from examples import tiny_llama; "
    "tiny_llama.write_checkpoint(Path(sys.argv[1]), seed=1, step=1)"
)
_WRITE_SECONDS = 120.0
_PUBLISHED = frozenset({".json", ".safetensors", ".jinja"})
#: Apart from the checkpoints.
_PREFIX = ".ai-how-check"
_SERVE_SECONDS = 600.0


def model_is_served(site: Site) -> outcome.Outcome:
    """An InferenceService in a namespace of its own gets ready and completes a prompt.

    Without a bucket or a runtime to do that with, its webhooks judge one, and `tried` says so.
    Raises what KServe and the store raise, TransientError with the cluster's reason.
    """
    problems = _mode(site.kubernetes)
    at = _where_to_serve(site.settings)
    with tempfile.TemporaryDirectory(prefix="ai-how-check-") as folder:
        model = Path(folder) / "checkpoint-1"
        if isinstance(at, ServingSite) and not _write(model):
            at = "there is no model to try it with beside the platform"
        if isinstance(at, str):
            site.kubernetes.create(kserve.tried("default"), dry_run=True)
            return outcome.of(problems, tried="the webhooks alone", because=at)
        return _served(site, at, model, problems)


def _served(site: Site, at: ServingSite, model: Path, problems: list[Problem]) -> outcome.Outcome:
    settings = site.settings
    store = ObjectStore(
        settings.store_url, endpoint=settings.store.endpoint, region=settings.store.region
    )
    prefix = f"{_PREFIX}/{at.namespace}"
    servable = Servable(
        "check", "check", "0" * 64, store.url(prefix), runtime=settings.serving.runtime
    )
    began = time.monotonic()
    try:
        for path in sorted(model.iterdir()):
            if path.suffix in _PUBLISHED:
                store.write(f"{prefix}/{path.name}", path.read_bytes())
        found = KServe(site.kubernetes, at).serve(servable, timeout_seconds=_SERVE_SECONDS)
    except TransientError as error:
        if "no free " not in error.reason:
            raise
        return outcome.warning(Problem(error.reason))
    finally:
        site.kubernetes.delete(Reference("v1", "Namespace", at.namespace))
        with suppress(ExternalError):
            store.delete_prefix(prefix)
    phases = {f"{name}_seconds": round(took, 3) for name, took in found.phases.items()}
    seconds = round(time.monotonic() - began, 3)
    return outcome.of(problems, tried=f"a model on {servable.runtime}", seconds=seconds, **phases)


def _mode(cluster: Kubernetes) -> list[Problem]:
    """What the configuration in force says, whoever wrote it last."""
    reference = Reference("v1", "ConfigMap", kserve.CONFIGURATION, kserve.NAMESPACE)
    found = cluster.get(reference)
    if found is None:
        return [Problem(f"there is no {reference}")]
    mode = json.loads(found["data"].get("deploy") or "{}").get("defaultDeploymentMode")
    if mode == kserve.MODE:
        return []
    return [Problem(f"{reference} says defaultDeploymentMode {mode} and not {kserve.MODE}")]


def _where_to_serve(settings: Settings) -> ServingSite | str:
    """A site of the trial's own like that of the settings, or why there can be none."""
    cluster = settings.serving.cluster
    if cluster is None:
        return "serving.cluster names no runtime"
    if not settings.store_url.startswith("s3://"):
        return "store.url names no bucket"
    at = serving_site(settings, cluster)
    if not at.bucket.access_key:
        return "AWS_ACCESS_KEY_ID is not set here"
    return replace(at, namespace=space.name())


def _write(directory: Path) -> bool:
    """Whether a tiny model is in the directory, which takes the examples of a checkout."""
    command = [sys.executable, "-c", _WRITE, str(directory)]
    try:
        ended = subprocess.run(
            command, cwd=_ROOT, capture_output=True, timeout=_WRITE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ended.returncode == 0
