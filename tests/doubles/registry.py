"""A registry in memory with the public methods of `resources.mlflow.Registry`.

What both must do is written down in `tests/resources/registry_contract.py`.
"""

from collections.abc import Mapping
from dataclasses import replace

from resources.errors import TransientError
from resources.mlflow import OUTCOME_TAG, PROMOTED_TAG, Registration, Registry, Version


class MemoryRegistry(Registry):
    """Versions, aliases, tags, figures and attachments, to be looked at by tests."""

    def __init__(self) -> None:
        super().__init__("http://registry.invalid")
        self.versions: list[Version] = []
        self.aliases: dict[tuple[str, str], int] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self._own_tags: dict[tuple[str, int], dict[str, str]] = {}
        self.figures: dict[str, dict[str, float]] = {}
        self.attached: dict[tuple[str, str], str] = {}
        self.down = False

    def register(self, wanted: Registration) -> tuple[Version, bool]:
        self._require_up(f"register `{wanted.key}`")
        for found in self.versions:
            if (found.key, found.digest) == (wanted.key, wanted.digest):
                return found, False
        number = 1 + sum(version.model == wanted.model for version in self.versions)
        version = Version(
            model=wanted.model,
            number=number,
            key=wanted.key,
            digest=wanted.digest,
            source=wanted.source,
            run_id=f"run-{wanted.key}-{number}",
            model_id=f"logged-{number}",
        )
        self.versions.append(version)
        return version, True

    def version(self, model: str, key: str, digest: str | None = None) -> Version | None:
        self._require_up(f"look up `{key}`")
        found = [
            each
            for each in self.versions
            if (each.model, each.key) == (model, key) and digest in (None, each.digest)
        ]
        return self._tagged(found[-1]) if found else None

    def numbered(self, model: str, number: int) -> Version | None:
        self._require_up(f"look up version {number} of `{model}`")
        found = [each for each in self.versions if (each.model, each.number) == (model, number)]
        return self._tagged(found[0]) if found else None

    def promoted(self, model: str) -> tuple[Version, ...]:
        self._require_up(f"list the champions of `{model}`")
        own = [each for each in self.versions if each.model == model]
        times = {each: self._own_tags.get((model, each.number), {}) for each in own}
        found = [each for each in own if PROMOTED_TAG in times[each]]
        newest = sorted(found, key=lambda each: times[each][PROMOTED_TAG], reverse=True)
        return tuple(map(self._tagged, newest))

    def alias(self, model: str, alias: str) -> Version | None:
        self._require_up(f"look up `{model}@{alias}`")
        number = self.aliases.get((model, alias))
        found = [each for each in self.versions if (each.model, each.number) == (model, number)]
        return self._tagged(found[0]) if found else None

    def set_alias(self, version: Version, alias: str) -> None:
        self._require_up(f"point `{alias}` at {version.key}")
        self.aliases[version.model, alias] = version.number

    def delete_alias(self, model: str, alias: str) -> None:
        self._require_up(f"remove `{model}@{alias}`")
        self.aliases.pop((model, alias), None)

    def models(self) -> tuple[str, ...]:
        self._require_up("list the registered models")
        return tuple(sorted({version.model for version in self.versions}))

    def tag(self, version: Version, tags: Mapping[str, str]) -> None:
        self._require_up(f"tag {version.key}")
        self.tags.setdefault(version.key, {}).update(tags)
        self._own_tags.setdefault((version.model, version.number), {}).update(tags)

    def log(self, version: Version, metrics: Mapping[str, float], *, dataset: str) -> None:
        self._require_up(f"log metrics of `{version.key}`")
        self.figures.setdefault(version.key, {}).update(metrics)

    def attach(self, version: Version, name: str, text: str) -> str:
        self._require_up(f"attach {name} to `{version.key}`")
        self.attached[version.key, name] = text
        return self.attachment(version, name)

    def page(self, version: Version) -> str:
        return f"{self.url}/#/experiments/1/runs/{version.run_id}"

    def named(self, model: str) -> dict[str, str]:
        """The key behind each alias of a model."""
        found = {alias: self.alias(name, alias) for name, alias in self.aliases if name == model}
        return {alias: version.key for alias, version in found.items() if version}

    def _tagged(self, version: Version) -> Version:
        tags = self._own_tags.get((version.model, version.number), {})
        return replace(
            version,
            outcome=tags.get(OUTCOME_TAG, ""),
            promoted_at=tags.get(PROMOTED_TAG, ""),
        )

    def _require_up(self, action: str) -> None:
        if self.down:
            raise TransientError("MLflow", action, "connection refused")
