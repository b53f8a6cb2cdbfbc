"""A file with two clusters, and a simulated hypervisor of each process's own that has them."""

from collections.abc import Collection
from pathlib import Path

import yaml

from cloud_assets.machines import domain_xml
from cloud_assets.machines.domain_xml import Placement
from resources.libvirt import parsing
from tests.machines.conftest import cloud, hpc, wanted

NODE = Path(__file__).parents[1] / "data" / "libvirt" / "node.xml"
_NAMESPACE = "xmlns:test='http://libvirt.org/schemas/domain/test/1.0'"
#: The only machine of which the test driver, which gives no leases, can know no address.
BY_DHCP = "hpc-compute-02"


def stood(
    directory: Path, *, off: Collection[str] = (), absent: Collection[str] = (BY_DHCP,)
) -> Path:
    """The file; its machines run but those that are named."""
    documents = []
    for cluster in wanted(hpc=hpc(), cloud=cloud()).clusters:
        documents.append(domain_xml.network(cluster).xml)
        for machine in cluster.machines:
            if machine.name not in absent:
                place = Placement("qemu", Path("/pools") / cluster.name)
                document = domain_xml.domain(machine, place).xml
                documents.append(_off(document) if machine.name in off else document)
    node = directory / "node.xml"
    text = NODE.read_text("utf-8").replace("</node>", f"{''.join(documents)}</node>")
    node.write_text(text, "utf-8")
    return written(directory, f"test://{node}")


def written(directory: Path, uri: str) -> Path:
    """The file alone, with a key beside it."""
    for name in ("key", "key.pub"):
        (directory / name).write_text("ssh-ed25519 AAAA somebody\n")
    platform = {
        "home": "home",
        "ports": {"dagster": 1, "mlflow": 2, "gateway": 3},
        "machines": {"uri": uri, "pool_root": "/pools", "ssh_public_key": "key.pub"},
    }
    path = directory / "cluster.yaml"
    clusters = {"hpc": hpc(), "cloud": cloud()}
    path.write_text(yaml.safe_dump({"clusters": clusters, "platform": platform}), "utf-8")
    return path


def _off(document: str) -> str:
    assert parsing.element(document, "domain") is not None
    begun = document.replace("<domain ", f"<domain {_NAMESPACE} ", 1)
    return begun.replace("</domain>", "<test:runstate>5</test:runstate></domain>")
