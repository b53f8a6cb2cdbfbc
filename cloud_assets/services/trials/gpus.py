"""GPUs as pods get them: what the operator was told, what nodes offer, a pod that takes one."""

import time

from cloud_assets.services.charts import gpu_operator
from cloud_assets.services.site import Site
from cloud_assets.services.trials import outcome
from cloud_assets.services.trials.outcome import Problem
from cloud_assets.services.trials.space import space
from resources.errors import TransientError
from resources.kubernetes import Condition, Kind, Object, Reference, offered

_NODE = Kind("v1", "Node")
#: Either says that there is a card: the operator's label, and what its discovery found.
_LABELS = ("nvidia.com/gpu.present", "feature.node.kubernetes.io/pci-10de.present")
_POD_SECONDS = 180.0


def values_in_force(site: Site) -> outcome.Outcome:
    """The newest release was given what the settings say."""
    [wanted] = gpu_operator.installations(site.settings)
    found = site.helm.values(wanted.release, wanted.namespace)
    if found is None:
        return outcome.of([Problem(f"there is no release {wanted.namespace}/{wanted.release}")])
    others = [
        Problem(f"the release has other values of {key} than the settings")
        for key in sorted(wanted.values.keys() | found.keys())
        if wanted.values.get(key) != found.get(key)
    ]
    return outcome.of(others)


def gpus_are_offered(site: Site) -> outcome.Outcome:
    """Every node with a card offers some of it; the figures are the number of each node."""
    nodes = site.kubernetes.listed(_NODE)
    figures = {
        str(each["metadata"]["name"]): offered(each, gpu_operator.GPU)
        for each in nodes
        if _has_card(each) or offered(each, gpu_operator.GPU)
    }
    if not figures:
        return outcome.warning(Problem("no node is labelled as having a GPU"))
    idle = [name for name, count in figures.items() if not count]
    if idle:
        names, why = ", ".join(idle), _plugin_trouble(site)
        return outcome.warning(
            Problem(f"{names} has a GPU and offers no nvidia.com/gpu: {why}"), **figures
        )
    return outcome.of([], **figures)


def pod_gets_a_gpu(site: Site) -> outcome.Outcome:
    """A pod that asks for one GPU runs to its end. Where all are held, that is but a warning.

    Raises TransientError with the cluster's reason where it does not start for another.
    """
    cluster, began = site.kubernetes, time.monotonic()
    with space(cluster) as namespace:
        pod = gpu_operator.tried(namespace, site.settings.image("gpu-check"))
        cluster.apply(pod)
        try:
            found = cluster.wait(Reference.of(pod), _ENDED, timeout_seconds=_POD_SECONDS)
        except TransientError as error:
            if gpu_operator.GPU not in error.reason:
                raise
            return outcome.warning(Problem(error.reason))
        why = "" if _phase(found) == "Succeeded" else cluster.why(Reference.of(pod))
    problems = [Problem(why)] if why else []
    return outcome.of(problems, seconds=round(time.monotonic() - began, 3))


def _phase(found: Object | None) -> str:
    return str(((found or {}).get("status") or {}).get("phase", ""))


_ENDED = Condition("ended", lambda found: _phase(found) in ("Succeeded", "Failed"))


def _has_card(node: Object) -> bool:
    labels = node["metadata"].get("labels") or {}
    return any(labels.get(each) == "true" for each in _LABELS)


def _plugin_trouble(site: Site) -> str:
    """What keeps the operator's pods from offering it."""
    [wanted] = gpu_operator.installations(site.settings)
    plugin = "nvidia-device-plugin-daemonset"
    reference = Reference("apps/v1", "DaemonSet", plugin, wanted.namespace)
    if site.kubernetes.get(reference) is None:
        return f"the operator has made no {plugin}"
    return site.kubernetes.why(reference)
