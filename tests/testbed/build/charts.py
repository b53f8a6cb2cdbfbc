"""Helm charts without a registry: they lie in the Go modules of what they install."""

import shutil
from pathlib import Path

from tests.testbed import pins
from tests.testbed.build import cache, go_programs
from tests.testbed.build.cache import Artefact


def kserve(name: str) -> Path:
    """The chart `kserve-crd` or `kserve-resources`."""
    return go_programs.module_folder(go_programs.KSERVE, pins.KSERVE) / "charts" / name


def cert_manager() -> Path:
    """Its chart, with the version that only a release puts in."""

    def build(draft: Path) -> None:
        module = go_programs.module_folder(go_programs.CERT_MANAGER, pins.CERT_MANAGER)
        folder = draft / "cert-manager"
        shutil.copytree(module / "deploy" / "charts" / "cert-manager", folder)
        about = folder / "Chart.yaml"
        about.chmod(0o644)
        about.write_text(about.read_text("utf-8").replace("v0.0.0", pins.CERT_MANAGER), "utf-8")

    return cache.have(Artefact("chart-cert-manager", pins.CERT_MANAGER, build)) / "cert-manager"


def gpu_operator() -> Path:
    """NVIDIA's, as old as its last Go module; what it installs does not run without images."""
    module = go_programs.module_folder("github.com/NVIDIA/gpu-operator", pins.GPU_OPERATOR)
    return module / "deployments" / "gpu-operator"
