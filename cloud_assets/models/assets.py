"""The first three stages of a checkpoint: judged where it lies, published, registered."""

import dagster as dg

from cloud_assets import keys
from cloud_assets.documents import Manifest
from cloud_assets.identity import CheckpointKey
from cloud_assets.lineage import outcomes, place, published
from cloud_assets.models.layout import Inspection, State, inspect
from cloud_assets.models.scan import directory_of
from cloud_assets.models.training import read_training_record
from cloud_assets.models.transfer import Transferred, publish, verify
from cloud_assets.settings import Settings
from resources.errors import NeedsRepair, PermanentError
from resources.mlflow import Registration, Registry
from resources.object_store import ObjectStore

COMPLETE = keys.checkpoint_check(
    "complete",
    keys.CHECKPOINT,
    "Every file that its layout needs is there and whole.",
)
SAFE = keys.checkpoint_check(
    "safe",
    keys.CHECKPOINT,
    "No pickles, no code, no names or links that lead out of the run.",
)
MATCHES_MANIFEST = keys.checkpoint_check(
    "matches_manifest",
    keys.MODEL_ARTIFACT,
    "Every published file, read back, has the SHA-256 of the manifest.",
)
SOURCE_EXISTS = keys.checkpoint_check(
    "source_exists",
    keys.REGISTERED_MODEL,
    "The bytes that the version points at are in the store.",
)


@keys.stage(keys.CHECKPOINT, kind="huggingface", checks=[COMPLETE, SAFE])
def checkpoint(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult:
    """The directory that a trainer wrote, judged where it lies; nothing is written into it."""
    with outcomes():
        inspection = _inspect(settings, context.partition_key)
    refused = inspection.state is State.REFUSED
    fix = {"fix": inspection.fix}
    return dg.MaterializeResult(
        data_version=dg.DataVersion(inspection.fingerprint or "unreadable"),
        metadata={
            "directory": dg.MetadataValue.path(inspection.directory),
            "layout": inspection.layout.value,
            "state": inspection.state.value,
            "reason": inspection.reason,
            "files": len(inspection.files),
            "bytes": sum(entry.size for entry in inspection.files),
            "fingerprint": inspection.fingerprint,
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="complete",
                passed=inspection.state is State.COMPLETE or refused,
                description=inspection.reason,
                metadata=fix,
            ),
            dg.AssetCheckResult(
                check_name="safe", passed=not refused, description=inspection.reason, metadata=fix
            ),
        ],
    )


@keys.stage(keys.MODEL_ARTIFACT, kind="s3", after=[keys.CHECKPOINT], checks=[MATCHES_MANIFEST])
def model_artifact(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    store: dg.ResourceParam[ObjectStore],
) -> dg.MaterializeResult:
    """The allow-listed files in the object store, published by their manifest."""
    key = CheckpointKey.parse(context.partition_key)
    with outcomes():
        manifest, transferred = publish(_inspect(settings, str(key)), key, store=store)
        problems = verify(manifest, store)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(manifest.digest),
        metadata=_artifact_metadata(manifest, transferred, store),
        check_results=[
            dg.AssetCheckResult(
                check_name="matches_manifest",
                passed=not problems,
                description="; ".join(problems) or "verified: readback-sha256",
            )
        ],
    )


@keys.stage(
    keys.REGISTERED_MODEL,
    kind="mlflow",
    after=[keys.MODEL_ARTIFACT],
    checks=[SOURCE_EXISTS],
)
def registered_model(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    store: dg.ResourceParam[ObjectStore],
    registry: dg.ResourceParam[Registry],
) -> dg.MaterializeResult:
    """A version in MLflow that points at the published bytes; alias `candidate`."""
    with outcomes():
        manifest = published(store, context.partition_key)
        missing = _missing(manifest, store)
        if missing:
            raise NeedsRepair(
                "the registry",
                f"register `{manifest.key}`",
                f"the store lacks {missing[0]}",
                hint="materialise model_artifact for this checkpoint again",
            )
        version, made = registry.register(_registration(manifest, store, settings))
        champion = registry.alias(version.model, keys.CHAMPION)
        if champion is None or champion.number != version.number:
            registry.set_alias(version, keys.CANDIDATE)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(manifest.digest),
        metadata={
            "model": version.model,
            "version": version.number,
            "created": made,
            "source": version.source,
            "version_page": dg.MetadataValue.url(registry.version_page(version)),
            "run_page": dg.MetadataValue.url(registry.page(version)),
        },
        check_results=[dg.AssetCheckResult(check_name="source_exists", passed=True)],
    )


def _inspect(settings: Settings, key: str) -> Inspection:
    directory = directory_of(settings.roots, CheckpointKey.parse(key))
    inspection = inspect(directory) if directory else None
    if inspection is None or inspection.state is State.GONE:
        raise PermanentError(
            "the checkpoint check",
            f"find `{key}`",
            "its directory is gone; it was rotated away before it could be published",
            hint="raise save_total_limit in the training job",
        )
    return inspection


def _missing(manifest: Manifest, store: ObjectStore) -> list[str]:
    there = store.list(manifest.prefix)
    names = {manifest.prefix + file.name: file.size for file in manifest.files}
    return [name for name, size in names.items() if there.get(name) != size]


def _registration(manifest: Manifest, store: ObjectStore, settings: Settings) -> Registration:
    key = CheckpointKey(manifest.model, manifest.run, manifest.step)
    directory = directory_of(settings.roots, key)
    record = read_training_record(directory) if directory else None
    # MLflow refuses file:// sources; a scheme of our own names the same place.
    source = store.url(manifest.prefix).replace("file://", "store://", 1)
    return Registration(
        model=manifest.model,
        key=manifest.key,
        digest=manifest.digest,
        source=source,
        run=manifest.run,
        step=manifest.step,
        tags={
            "ai-how.layout": manifest.layout,
            "ai-how.source": manifest.source[:4000],
            "ai-how.verified": "readback-sha256",
        },
        parameters=record.parameters if record else {},
        history=record.history if record else (),
    )


def _artifact_metadata(
    manifest: Manifest, transferred: Transferred, store: ObjectStore
) -> dict[str, dg.MetadataValue | str | int | float]:
    rate = transferred.sent_bytes / transferred.seconds / 1e6 if transferred.seconds else 0.0
    listed = "\n".join(f"| {f.name} | {f.size:,} | `{f.sha256[:16]}` |" for f in manifest.files)
    return {
        "location": place(store.url(manifest.prefix)),
        "digest": manifest.digest,
        "files": len(manifest.files),
        "bytes": manifest.total_bytes,
        "sent_files": transferred.sent_files,
        "sent_bytes": transferred.sent_bytes,
        "megabytes_per_second": round(rate, 1),
        "manifest": dg.MetadataValue.md(f"| file | bytes | sha256 |\n|---|---|---|\n{listed}"),
    }
