"""Files that describe clusters, whole or with one thing changed, and what is said of them."""

from pathlib import Path

import pytest

from cloud_assets.settings_file import read_cluster_file
from resources.errors import SettingsError

EXAMPLES = Path(__file__).parents[2] / "examples" / "clusters"

TWO = """\
clusters:
  hpc:
    name: hpc
    base_image_path: hpc.qcow2
    network:
      subnet: 192.168.100.0/24
      bridge: virbr100
    controller: {cpu_cores: 2, memory_gb: 4, disk_gb: 40, ip_address: 192.168.100.10}
    compute_nodes:
      - cpu_cores: 8
        memory_gb: 16
        disk_gb: 100
        ip: 192.168.100.11
        pcie_passthrough:
          enabled: true
          devices:
            - {pci_address: "0000:01:00.0", device_type: gpu}
            - {pci_address: "0000:01:00.1", device_type: audio}
      - cpu_cores: 8
        memory_gb: 16
        disk_gb: 100
        ip: 192.168.100.12
    slurm_config: {partitions: [gpu], default_partition: gpu}
  cloud:
    name: cloud
    base_image_path: cloud.qcow2
    network:
      subnet: 192.168.200.0/24
      bridge: virbr200
    control_plane: {cpu_cores: 4, memory_gb: 8, disk_gb: 60, ip_address: 192.168.200.10}
    worker_nodes:
      - {cpu_cores: 4, memory_gb: 8, disk_gb: 60, ip: 192.168.200.11}
      - cpu_cores: 8
        memory_gb: 16
        disk_gb: 100
        ip: 192.168.200.12
        auto_start: false
        pcie_passthrough:
          enabled: true
          devices:
            - {pci_address: "0000:01:00.0", device_type: gpu}
            - {pci_address: "0000:01:00.1", device_type: audio}
    kubernetes_config: {cni: calico, ingress: nginx, storage_class: local-path}
"""


def changed(*pairs: tuple[str, str], count: int = 1) -> str:
    """`TWO` with the first of each text replaced by another."""
    text = TWO
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new, count)
    return text


def problems(directory: Path, text: str) -> list[str]:
    """What is wrong with a file, each without the name of the file."""
    path = directory / "cluster.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as error:
        read_cluster_file(path)
    return [each.removeprefix(f"{path}:") for each in error.value.problems]
