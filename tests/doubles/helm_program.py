"""The real `helm` for tests: the one that is named, the one on PATH, or one built from Go modules.

Building takes two minutes the first time; only what asks for it by `built` pays for that.
"""

import os
import shutil
from pathlib import Path

from tests.testbed.build import cache, commands, go_programs
from tests.testbed.build.cache import Artefact

MODULE = "helm.sh/helm/v3"
VERSION = "v3.22.0"
#: For which Kubernetes it renders without a cluster, as its releases are told when they are built.
_RENDERS_FOR = ("1", "34")
VARIABLE = "AI_HOW_HELM"
MISSING = f"no helm: set {VARIABLE}, put one on PATH, or `python -m tests.doubles.helm_program`"


def found() -> Path | None:
    """The helm that is already there; None where there is none."""
    given = os.environ.get(VARIABLE) or shutil.which("helm")
    if given:
        return Path(given)
    if shutil.which("go") is None:
        return None
    made = _artefact().path / "helm"
    return made if made.is_file() else None


def built() -> Path | None:
    """As `found`, else one built into the testbed's cache; None where Go is missing."""
    there = found()
    if there or shutil.which("go") is None:
        return there
    return cache.have(_artefact()) / "helm"


def _artefact() -> Artefact:
    major, minor = _RENDERS_FOR
    flags = (
        f"-s -w -X {MODULE}/internal/version.version={VERSION} "
        f"-X {MODULE}/pkg/chartutil.k8sVersionMajor={major} "
        f"-X {MODULE}/pkg/chartutil.k8sVersionMinor={minor}"
    )

    def build(draft: Path) -> None:
        commands.run(
            ["go", "build", "-trimpath", "-ldflags", flags, "-o", draft / "helm", "./cmd/helm"],
            directory=go_programs.module_folder(MODULE, VERSION),
            environment={"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOWORK": "off"},
        )

    version = commands.run(["go", "env", "GOVERSION"]).strip()
    return Artefact("helm", "\n".join([version, MODULE, VERSION, "./cmd/helm", flags]), build)


if __name__ == "__main__":
    built()
