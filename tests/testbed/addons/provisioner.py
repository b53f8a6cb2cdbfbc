"""The provisioner of the default StorageClass: a directory for each claim, while it exists.

Runs under the cell's supervisord; all nodes see the same directories.
Run as `python -m tests.testbed.addons.provisioner KUBECONFIG DIRECTORY`.
"""

import shutil
import sys
import time
from pathlib import Path
from typing import Any

from kubernetes import client, config, watch
from urllib3.exceptions import HTTPError

CLASS = "testbed"
PROVISIONER = "testbed.ai-how/directory"
_PAUSE_SECONDS = 1.0


def main(kubeconfig: str, directory: str) -> None:
    """Follow all claims until killed."""
    config.load_kube_config(kubeconfig)
    core, root = client.CoreV1Api(), Path(directory)
    while True:
        try:
            _follow(core, root)
        except (client.ApiException, HTTPError) as error:
            # The API server is away or has forgotten the watch: look at everything anew.
            sys.stderr.write(f"{error}\n")
            time.sleep(_PAUSE_SECONDS)


def _follow(core: Any, root: Path) -> None:
    claims = core.list_persistent_volume_claim_for_all_namespaces()
    for claim in claims.items:
        _provide(core, root, claim)
    _release(core, root, kept={_name(each) for each in claims.items})
    stream = watch.Watch().stream(
        core.list_persistent_volume_claim_for_all_namespaces,
        resource_version=claims.metadata.resource_version,
    )
    for event in stream:
        claim = event["object"]
        if event["type"] == "DELETED":
            _remove(core, root, _name(claim))
        else:
            _provide(core, root, claim)


def _name(claim: Any) -> str:
    return f"pvc-{claim.metadata.uid}"


def _provide(core: Any, root: Path, claim: Any) -> None:
    if claim.spec.storage_class_name != CLASS or claim.spec.volume_name:
        return
    path = root / _name(claim)
    path.mkdir(exist_ok=True)
    # Whoever the pod runs as; hostPath volumes know no fsGroup.
    path.chmod(0o777)
    volume = {
        "metadata": {
            "name": _name(claim),
            "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER},
        },
        "spec": {
            "storageClassName": CLASS,
            "accessModes": claim.spec.access_modes,
            "capacity": {"storage": claim.spec.resources.requests["storage"]},
            # Removed by us, once the claim is.
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": str(path), "type": "Directory"},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": claim.metadata.namespace,
                "name": claim.metadata.name,
                "uid": claim.metadata.uid,
            },
        },
    }
    try:
        core.create_persistent_volume(volume)
    except client.ApiException as error:
        if error.status != 409:
            raise


def _release(core: Any, root: Path, *, kept: set[str]) -> None:
    """Remove the volumes whose claims went while nobody was looking."""
    for volume in core.list_persistent_volume().items:
        made_by = (volume.metadata.annotations or {}).get("pv.kubernetes.io/provisioned-by")
        if made_by == PROVISIONER and volume.metadata.name not in kept:
            _remove(core, root, volume.metadata.name)


def _remove(core: Any, root: Path, name: str) -> None:
    try:
        core.delete_persistent_volume(name)
    except client.ApiException as error:
        if error.status != 404:
            raise
    shutil.rmtree(root / name, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
