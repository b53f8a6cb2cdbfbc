"""Where the load client runs: as a child of this process, or as pods of the cluster that serves."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import dagster as dg

from cloud_assets.settings import TEMPORARY, Settings
from cloud_assets.settings.serving import Cluster, ClusterLoad
from resources.load.run import LoadPlan, LoadResult, run_load

LoadClient = Callable[[LoadPlan], LoadResult]


def load_client(settings: Settings, context: dg.AssetExecutionContext) -> LoadClient:
    """The client that the settings mean; what it raises is `run_load`'s."""
    cluster = settings.serving.cluster
    if cluster is not None and cluster.load is not None:
        return _in_pods(settings, cluster, cluster.load, context)
    place = settings.home / TEMPORARY
    place.mkdir(parents=True, exist_ok=True)

    def run(plan: LoadPlan) -> LoadResult:
        with tempfile.TemporaryDirectory(prefix="load-", dir=place) as directory:
            return run_load(plan, work_directory=Path(directory))

    return run


def _in_pods(
    settings: Settings, cluster: Cluster, load: ClusterLoad, context: dg.AssetExecutionContext
) -> LoadClient:
    from resources.kubernetes import Kubernetes
    from resources.load.pods import LoadPods, run_in_pods

    at = settings.kubernetes
    asked = Kubernetes(at.kubeconfig, context=at.context)
    pods = LoadPods(cluster.namespace, **load.model_dump())
    return lambda plan: run_in_pods(plan, context, cluster=asked, pods=pods)
