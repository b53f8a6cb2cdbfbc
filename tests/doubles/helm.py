"""Helm in memory, with the public methods of `resources.helm.Helm`; its releases touch no cluster.

Of templates it knows values and the release's name and namespace. What it must do like the real
one is written down in `tests/resources/helm/helm_contract.py`.
"""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from resources.errors import NeedsRepair, PermanentError, TransientError
from resources.helm import Helm, Installation, Release, manifests
from resources.kubernetes import Change, Object

_PLACE = re.compile(r"\{\{-?\s*\.(Values|Release)\.([\w.]+)\s*-?\}\}")


class MemoryHelm(Helm):
    """Releases to be looked at by tests: `releases` by `(namespace, name)`."""

    def __init__(self) -> None:
        super().__init__()
        self.releases: dict[tuple[str, str], Release] = {}
        self.objects: dict[tuple[str, str], list[Object]] = {}
        self.given: dict[tuple[str, str], dict[str, Any]] = {}
        #: Why the next install or upgrade fails, as a whole.
        self.failure: str | None = None

    def render(self, wanted: Installation) -> list[Object]:
        folder = Path(wanted.chart.name)
        action = f"render {wanted.chart}"
        if not (folder / "Chart.yaml").is_file():
            raise NeedsRepair("Helm", action, f"path {folder} not found")
        text = (folder / "values.yaml").read_text("utf-8")
        values: dict[str, Any] = {**yaml.safe_load(text), **wanted.values}
        known = {
            "Values": values,
            "Release": {"Name": wanted.release, "Namespace": wanted.namespace},
        }

        def filled(found: re.Match[str]) -> str:
            value: Any = known[found[1]]
            for key in found[2].split("."):
                value = value[key]
            return str(value)

        parts = [_PLACE.sub(filled, each.read_text("utf-8")) for each in _templates(folder)]
        if any("{{" in each for each in parts):
            raise PermanentError("Helm", action, "parse error", hint="correct the chart")
        return manifests.documents("\n---\n".join(parts), action)

    def definitions(self, wanted: Installation) -> list[Object]:
        files = sorted((Path(wanted.chart.name) / "crds").glob("*.yaml"))
        text = "\n---\n".join(each.read_text("utf-8") for each in files)
        return manifests.documents(text, f"look into {wanted.chart}")

    def planned(self, wanted: Installation) -> list[Object]:
        return self.render(wanted)

    def diff(self, wanted: Installation) -> list[Change]:
        before = self.objects.get((wanted.namespace, wanted.release), [])
        return manifests.changes(before, self.render(wanted))

    def install_or_upgrade(
        self, wanted: Installation, *, timeout_seconds: float = 300.0, always: bool = False
    ) -> list[Change]:
        planned = self.diff(wanted)
        place = (wanted.namespace, wanted.release)
        if not planned and not always:
            return planned
        if self.failure:
            raise TransientError("Helm", f"install {wanted.chart}", self.failure)
        found = self.releases.get(place)
        about = yaml.safe_load((Path(wanted.chart.name) / "Chart.yaml").read_text("utf-8"))
        self.objects[place] = self.render(wanted)
        self.given[place] = dict(wanted.values)
        self.releases[place] = Release(
            name=wanted.release,
            namespace=wanted.namespace,
            revision=found.revision + 1 if found else 1,
            status="deployed",
            chart=about["name"],
            version=about["version"],
            deployed_at=datetime.now(UTC),
        )
        return planned

    def settled(self, wanted: Installation, *, timeout_seconds: float = 300.0) -> Release | None:
        return self.status(wanted.release, wanted.namespace)

    def status(self, release: str, namespace: str) -> Release | None:
        return self.releases.get((namespace, release))

    def applied(self, release: str, namespace: str) -> list[Object]:
        return self.objects.get((namespace, release), [])

    def values(self, release: str, namespace: str) -> dict[str, Any] | None:
        return self.given.get((namespace, release))

    def uninstall(self, release: str, namespace: str, *, timeout_seconds: float = 300.0) -> bool:
        self.given.pop((namespace, release), None)
        self.objects.pop((namespace, release), None)
        return self.releases.pop((namespace, release), None) is not None


def _templates(folder: Path) -> list[Path]:
    return sorted((folder / "templates").glob("*.yaml"))
