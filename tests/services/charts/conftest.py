"""A site on the testbed's cluster whose charts and images are all local."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloud_assets.services.catalogue import services
from cloud_assets.services.service import Service
from cloud_assets.services.site import Site
from cloud_assets.settings import Settings
from resources.errors import TransientError
from resources.helm import Helm
from resources.kubernetes import Change
from tests.doubles import helm_program
from tests.testbed import pins
from tests.testbed.build import charts
from tests.testbed.cluster import Cluster

IMAGES = {
    **{f"cert-manager-{role}": name for role, name in pins.CERT_MANAGER_IMAGES.items()},
    "kserve-controller": pins.KSERVE_IMAGE,
    "kserve-storage-initializer": pins.STORAGE_INITIALIZER_IMAGE,
    "kube-rbac-proxy": pins.KUBE_RBAC_PROXY_IMAGE,
    "gpu-operator": pins.GPU_OPERATOR_IMAGE,
    "gpu-check": pins.BUSYBOX_IMAGE,
}
#: A machine of two cores has other needs than a cluster.
SMALL: dict[str, dict[str, Any]] = {
    "cert_manager": {},
    "kserve": {"values": {"kserve": {"controller": {"rbacProxy": {"resources": {}}}}}},
    "gpu_operator": {
        "node_feature_discovery": False,
        "values": {"operator": {"resources": {"limits": None, "requests": {"cpu": "10m"}}}},
    },
}


def site(cluster: Cluster, **platform: Any) -> Site:
    """The site with `services` as given, each on top of what is small."""
    if cluster.places is None:
        pytest.skip("it would install into a cluster of somebody else's")
    places = {
        "cert-manager": charts.cert_manager(),
        "kserve-crd": charts.kserve("kserve-crd"),
        "kserve-resources": charts.kserve("kserve-resources"),
        "gpu-operator": charts.gpu_operator(),
    }
    given = platform.pop("services")
    wanted = {
        "kubernetes": {"kubeconfig": cluster.kubeconfig},
        "charts": {name: str(path) for name, path in places.items()},
        "images": IMAGES,
        "services": {
            name: {**SMALL[name], **each} if isinstance(each, dict) else each
            for name, each in given.items()
        },
        **platform,
    }
    program = helm_program.built()
    if program is None:
        pytest.skip(helm_program.MISSING)
    found = Site.of(Settings.model_validate(wanted).resolved(Path("/")))
    return with_helm(found, Helm(cluster.kubeconfig, program=program))


def with_helm(found: Site, helm: Helm) -> Site:
    """The site, whose charts are this helm's."""
    found.__dict__["helm"] = helm
    return found


def changed(found: Site, **settings: Any) -> Site:
    """The same site with other settings."""
    other = replace(found, settings=found.settings.model_copy(update=settings))
    return with_helm(other, found.helm)


def service(found: Site, name: str) -> Service:
    [one] = [each for each in services(found.settings) if each.name == name]
    return one


@pytest.fixture(scope="session")
def certificates(cluster: Cluster) -> Iterator[tuple[Site, list[Change]]]:
    """The site with cert-manager up, and what that took."""
    found = site(cluster, services={"cert_manager": {}})
    try:
        yield found, service(found, "cert_manager").convergence.converge(found)
    except TransientError as error:
        error.add_note(_logs(cluster))
        raise
    finally:
        _without(found, cluster)


def _logs(cluster: Cluster) -> str:
    ours = ("--selector", "app.kubernetes.io/instance=cert-manager")
    return cluster.kubectl("logs", "--namespace", "cert-manager", "--prefix", *ours)


def _without(found: Site, cluster: Cluster) -> None:
    if found.helm.status("cert-manager", "cert-manager"):
        found.helm.uninstall("cert-manager", "cert-manager")
    # Gone for certain: nothing can be made in a namespace that is going.
    cluster.kubectl("delete", "namespace", "cert-manager", "--ignore-not-found", "--timeout=120s")
    # The chart has helm keep them.
    cluster.kubectl("delete", "crd", "--selector", "app.kubernetes.io/instance=cert-manager")
