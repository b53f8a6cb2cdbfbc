"""What one stage needs of the stages before it: read from the store, never handed over in memory.

So each asset can be materialised alone, in a backfill or after a crash, as well as in a whole run.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import dagster as dg
from pydantic import BaseModel, ValidationError

from cloud_assets.documents import Manifest, Outcome
from cloud_assets.identity import StorePaths, record_of
from cloud_assets.settings import Settings
from cloud_assets.stages import WAITS_TAG
from resources.errors import AiHowError, NeedsRepair, PermanentError, TransientError, UsageError
from resources.mlflow import Registry, Version
from resources.object_store import ObjectStore
from resources.serving import OnWait, Servable

D = TypeVar("D", bound=BaseModel)

RETRIES = 3
RETRY_SECONDS = 2
_LONGEST_WAIT = 500


@contextmanager
def outcomes() -> Iterator[None]:
    """Turn our errors into Dagster's: transient ones are retried, permanent ones are final.

    The failure says whether the checkpoint is turned away or held until a system or a setting is
    mended.
    """
    try:
        yield
    except TransientError as error:
        raise dg.RetryRequested(RETRIES, RETRY_SECONDS) from error
    except AiHowError as error:
        outcome = Outcome.HELD if isinstance(error, NeedsRepair | UsageError) else Outcome.REJECTED
        raise dg.Failure(
            str(error),
            metadata={"fix": error.hint or "", "outcome": outcome.value},
            allow_retries=False,
        ) from error


@contextmanager
def waiting(context: dg.AssetExecutionContext) -> Iterator[OnWait]:
    """Takes in what a stage waits for, for the run's log and beside its state in the lists.

    A run that ends badly keeps its last reason: it counts only while the run is under way.
    """
    said = ""

    def say(reason: str) -> None:
        nonlocal said
        if reason != said:
            said = reason
            context.log.info(f"it waits: {reason}")
            tag(reason)

    def tag(reason: str) -> None:
        tags = {WAITS_TAG: reason[:_LONGEST_WAIT]}
        context.instance.add_run_tags(context.run.run_id, tags)

    yield say
    if said:
        tag("")


def read_document(store: ObjectStore, name: str, kind: type[D]) -> D | None:
    """The document `name`; None where there is none. Raises PermanentError when it is damaged."""
    content = store.read(name)
    if content is None:
        return None
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        raise PermanentError(
            "the object store",
            f"read {name}",
            f"it is not a {kind.__name__}",
            hint="materialise the asset that writes it again",
        ) from error


def published(store: ObjectStore, key: str) -> Manifest:
    """The manifest of a checkpoint. Raises PermanentError when it was never published."""
    manifest = read_document(store, StorePaths(key).manifest, Manifest)
    if manifest is None:
        raise PermanentError(
            "the object store",
            f"find the artifact of `{key}`",
            "it was never published",
            hint="materialise model_artifact for this checkpoint first",
        )
    return manifest


def registered(store: ObjectStore, version: Version) -> Manifest:
    """The manifest of the bytes that a version points at, whatever was published since.

    A checkpoint that was rewritten under the same name is another version of the same key.
    """
    return _recorded(store, version.source, version.key)


def _recorded(store: ObjectStore, location: str, key: str) -> Manifest:
    manifest = read_document(store, record_of(location), Manifest)
    if manifest is None:
        raise PermanentError(
            "the object store",
            f"find the artifact of `{key}`",
            f"nothing is recorded of {location}",
            hint="materialise model_artifact for this checkpoint again",
        )
    return manifest


def servable(manifest: Manifest, store: ObjectStore, settings: Settings) -> Servable:
    """What a serving backend must know to serve the artifact."""
    base = settings.serving.base_models.get(manifest.base_model or "")
    return Servable(
        key=manifest.key,
        name=manifest.model,
        digest=manifest.digest,
        location=store.url(manifest.prefix),
        runtime=settings.serving.runtime,
        adapter_of=manifest.base_model,
        base_location=f"{base.as_uri()}/" if base else None,
    )


def place(url: str) -> dg.MetadataValue:
    """A link where Dagster's UI can follow it, else text to copy: browsers open no file from it."""
    parts = urlsplit(url)
    if parts.scheme in {"http", "https"}:
        return dg.MetadataValue.url(url)
    return dg.MetadataValue.path(unquote(parts.path) if parts.scheme == "file" else url)


def record_figures(
    registry: Registry, manifest: Manifest, figures: Mapping[str, float], dataset: str
) -> None:
    """Keep figures with the checkpoint's registered version, where there is one."""
    version = registry.version(manifest.model, manifest.key, manifest.digest)
    if version is not None:
        registry.log(version, figures, dataset=dataset)


def fetcher(store: ObjectStore) -> Callable[[str, Path], None]:
    """Fills a directory with what is published at a location, each file held to its manifest."""

    def fetch(location: str, directory: Path) -> None:
        prefix = location.removeprefix(store.url(""))
        manifest = _recorded(store, location, prefix.split("/")[1])
        store.fetch(prefix, directory, {file.name: file.sha256 for file in manifest.files})

    return fetch
