"""Mutual exclusion on a real API server: one at a time, and a dead holder is succeeded."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from resources.kserve import Site
from resources.kserve.lease import API_VERSION, held
from resources.kubernetes import Kubernetes, Reference

pytestmark = [pytest.mark.testbed, pytest.mark.timeout(3600)]


def test_one_holds_it_at_a_time(kubernetes: Kubernetes, site: Site) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        with held(kubernetes, site.namespace, "shared"):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.1)
            inside.remove(number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert most == [1, 1, 1, 1]


def test_a_holder_that_died_is_succeeded(kubernetes: Kubernetes, site: Site) -> None:
    reference = Reference(API_VERSION, "Lease", "orphaned", site.namespace)
    kubernetes.apply(
        {
            "apiVersion": API_VERSION,
            "kind": "Lease",
            "metadata": {"name": reference.name, "namespace": reference.namespace},
            "spec": {
                "holderIdentity": "dead",
                "leaseDurationSeconds": 60,
                "renewTime": "2026-01-01T00:00:00.000000Z",
            },
        }
    )
    with held(kubernetes, site.namespace, reference.name):
        found = kubernetes.get(reference)
        assert found is not None
        assert found["spec"]["holderIdentity"] != "dead"
    assert kubernetes.get(reference) is None
