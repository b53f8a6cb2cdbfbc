"""The world that a release acts on: what it serves, compares and brings back behind an endpoint.

In which order aliases and routes move is `promotion`'s business.
"""

from collections.abc import Collection

from cloud_assets import keys
from cloud_assets.documents import Manifest
from cloud_assets.identity import CheckpointKey, record_of
from cloud_assets.lineage import read_document, registered, servable
from cloud_assets.serving.promotion import promote, route_to
from cloud_assets.settings import Settings
from resources.mlflow import Registry, Version
from resources.object_store import ObjectStore
from resources.serving import OnWait, Served, ServingBackend, unheard


def at_rest(settings: Settings, busy: Collection[str]) -> list[str]:
    """The models whose champion is to be up now, in the order of their names.

    With the strategy `replace` a run of a `busy` key has stopped it to try a checkpoint: a champion
    that came back then would stop that one in turn.
    """
    models = sorted({root.model for root in settings.roots})
    if settings.serving.strategy != "replace":
        return models
    replaced = {CheckpointKey.parse(key).model for key in busy}
    return [model for model in models if model not in replaced]


class World:
    """The systems that a promotion touches, taken together."""

    def __init__(
        self,
        settings: Settings,
        store: ObjectStore,
        registry: Registry,
        serving: ServingBackend,
        on_wait: OnWait = unheard,
    ) -> None:
        self.settings = settings
        self.store = store
        self.registry = registry
        self.serving = serving
        self.on_wait = on_wait

    def restore(self, model: str) -> None:
        """Bring a champion back that had to stop for a checkpoint that was turned away."""
        if self.settings.serving.strategy == "replace":
            self.converge(model)

    def promote(self, version: Version) -> None:
        promote(self.registry, self.serving, version, self._served(version).slot)

    def newer_champion(self, manifest: Manifest) -> str | None:
        """The champion's key, where that checkpoint was finished after this one."""
        champion = self.registry.alias(manifest.model, keys.CHAMPION)
        if champion is None or champion.digest == manifest.digest:
            return None
        serving = read_document(self.store, record_of(champion.source), Manifest)
        later = serving is not None and serving.finished_at > manifest.finished_at
        return champion.key if later else None

    def converge(self, model: str) -> list[str]:
        """Bring the champion up and behind its endpoint; what that took."""
        champion = self.registry.alias(model, keys.CHAMPION)
        if champion is None:
            return []
        served = self._served(champion)
        changed = [] if served.reused else [f"started {served.slot.name}"]
        changed += [f"put {each} of {served.slot.name} right" for each in served.mended]
        with self.serving.exclusive(model):
            current = self.registry.alias(model, keys.CHAMPION)
            wanted = route_to(served.slot)
            if current == champion and self.serving.routes().get(model) != wanted:
                self.serving.route(model, wanted)
                changed.append(f"routed {model} to {champion.key}")
        return changed

    def _served(self, version: Version) -> Served:
        manifest = registered(self.store, version)
        return self.serving.serve(
            servable(manifest, self.store, self.settings),
            timeout_seconds=self.settings.serving.timeout_seconds,
            on_wait=self.on_wait,
        )
