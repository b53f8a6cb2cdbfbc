"""The serving end of the graph: a candidate for each checkpoint, its release, and the endpoints."""

from datetime import UTC, datetime
from typing import Literal

import dagster as dg

from cloud_assets import keys
from cloud_assets.documents import BenchmarkReport, Decision, Outcome, QualityReport
from cloud_assets.identity import CheckpointKey, StorePaths
from cloud_assets.lineage import outcomes, published, read_document, registered, servable, waiting
from cloud_assets.serving.promotion import (
    drop_stale_candidate,
    kept,
    tidy,
    withdraw,
)
from cloud_assets.serving.release import Ruling, decide
from cloud_assets.serving.world import World, at_rest
from cloud_assets.settings import Settings
from resources.errors import PermanentError
from resources.mlflow import OUTCOME_TAG, Registry, Version
from resources.object_store import ObjectStore
from resources.serving import ServingBackend

ANSWERS = keys.checkpoint_check(
    "answers",
    keys.INFERENCE_SERVICE,
    "A real completion came back under the model's name.",
)


@keys.stage(
    keys.INFERENCE_SERVICE,
    kind="openai",
    after=[keys.REGISTERED_MODEL],
    checks=[ANSWERS],
    pool=keys.GPU_POOL,
)
def inference_service(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    store: dg.ResourceParam[ObjectStore],
    serving: dg.ResourceParam[ServingBackend],
) -> dg.MaterializeResult:
    """The checkpoint on a model server of its own, beside whatever serves now."""
    with outcomes(), waiting(context) as on_wait:
        manifest = published(store, context.partition_key)
        served = serving.serve(
            servable(manifest, store, settings),
            timeout_seconds=settings.serving.timeout_seconds,
            on_wait=on_wait,
        )
    return dg.MaterializeResult(
        data_version=dg.DataVersion(manifest.digest),
        metadata={
            "slot": served.slot.name,
            "url": dg.MetadataValue.url(served.slot.url),
            "runtime": served.slot.runtime,
            "reused": served.reused,
            **{f"{phase}_seconds": round(took, 3) for phase, took in served.phases.items()},
        },
        check_results=[dg.AssetCheckResult(check_name="answers", passed=True)],
    )


class ReleaseRequest(dg.Config):
    """`decide` lets the gates rule; `promote` and `rollback` are somebody's word.

    `version` is the registered version to return to; without it, what is published now counts, or
    for a rollback what was the champion before.
    """

    action: Literal["decide", "promote", "rollback"] = "decide"
    version: int | None = None
    requested_by: str = "the new_checkpoints sensor"
    reason: str = ""


@keys.stage(
    keys.RELEASE,
    kind="mlflow",
    after=[keys.INFERENCE_SERVICE, keys.QUALITY_REPORT, keys.BENCHMARK_REPORT],
)
def release(
    context: dg.AssetExecutionContext,
    config: ReleaseRequest,
    settings: dg.ResourceParam[Settings],
    store: dg.ResourceParam[ObjectStore],
    registry: dg.ResourceParam[Registry],
    serving: dg.ResourceParam[ServingBackend],
) -> dg.MaterializeResult:
    """Promoted, rejected or held, with the reasons; a promotion moves the stable endpoint."""
    key = context.partition_key
    with outcomes(), waiting(context) as on_wait:
        version = _version(registry, store, key, config)
        before = _champion_beside(registry, version)
        world = World(settings, store, registry, serving, on_wait)
        ruling = _rule(config, world, version)
        _carry_out(ruling, version, world, busy_keys(context.instance) - {key})
        decision = Decision(
            key=key,
            outcome=ruling.outcome,
            reasons=ruling.reasons,
            fix=ruling.fix,
            previous=before.key if before else None,
            promoted_at=_promoted_at(ruling, registry, version),
            requested_by=config.requested_by,
        )
        _keep(decision, version, store)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(f"{version.digest[:16]}:{ruling.outcome.value}"),
        metadata=_decision_metadata(decision, settings),
    )


@dg.asset(
    name=keys.ENDPOINT,
    deps=[keys.RELEASE],
    group_name=keys.ML_GROUP,
    owners=keys.ML_OWNERS,
    kinds={"openai"},
    code_version="1",
)
def endpoint(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    store: dg.ResourceParam[ObjectStore],
    registry: dg.ResourceParam[Registry],
    serving: dg.ResourceParam[ServingBackend],
) -> dg.MaterializeResult:
    """The stable address of every model: its champion up and behind it, nothing left over."""
    with outcomes(), waiting(context) as on_wait:
        world = World(settings, store, registry, serving, on_wait)
        models = sorted({root.model for root in settings.roots})
        busy = busy_keys(context.instance)
        changed = [c for model in at_rest(settings, busy) for c in world.converge(model)]
        keep = kept(registry, models, settings.serving.warm)
        changed += [f"released {name}" for name in tidy(serving, keep, busy)]
        stale = [drop_stale_candidate(registry, model, busy) for model in models]
        changed += [f"{key} is no candidate any more" for key in stale if key]
        routes = serving.routes()
    return dg.MaterializeResult(
        metadata={
            "changed": changed,
            **{model: route.key for model, route in sorted(routes.items())},
            "url": dg.MetadataValue.url(f"{settings.gateway_url}/v1"),
            "converged_at": dg.MetadataValue.timestamp(datetime.now(UTC)),
        }
    )


def busy_keys(instance: dg.DagsterInstance) -> set[str]:
    """The checkpoints that a run is at work on, or is about to be."""
    active = [
        dg.DagsterRunStatus.QUEUED,
        dg.DagsterRunStatus.NOT_STARTED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.CANCELING,
    ]
    runs = instance.get_runs(filters=dg.RunsFilter(statuses=active))
    return {run.tags[keys.PARTITION_TAG] for run in runs if keys.PARTITION_TAG in run.tags}


def _version(registry: Registry, store: ObjectStore, key: str, config: ReleaseRequest) -> Version:
    """The version of what is published; a rollback returns to what was promoted before."""
    model = CheckpointKey.parse(key).model
    if config.version is not None:
        asked = registry.numbered(model, config.version)
        if asked is None or asked.key != key:
            raise PermanentError(
                "MLflow",
                f"find version {config.version} of `{model}`",
                f"it is not there, or not `{key}`",
                hint="`ai-how rollback MODEL` looks up what to return to",
            )
        return asked
    if config.action == "rollback":
        # A rollback that is repeated after a crash finds it as the champion already.
        for alias in (keys.PREVIOUS, keys.CHAMPION):
            former = registry.alias(model, alias)
            if former is not None and former.key == key:
                return former
    version = registry.version(model, key, published(store, key).digest)
    if version is None:
        raise PermanentError(
            "MLflow",
            f"find `{key}`",
            "no version of it is registered",
            hint="materialise registered_model for this checkpoint first",
        )
    return version


def _champion_beside(registry: Registry, version: Version) -> Version | None:
    """The champion, or the one before where `version` is it already, as in a repeated release."""
    champion = registry.alias(version.model, keys.CHAMPION)
    if champion is not None and champion.number == version.number:
        return registry.alias(version.model, keys.PREVIOUS)
    return champion


def _rule(config: ReleaseRequest, world: World, version: Version) -> Ruling:
    if config.action != "decide":
        why = f": {config.reason}" if config.reason else ""
        return Ruling(Outcome.PROMOTED, (f"{config.action} asked by {config.requested_by}{why}",))
    store, manifest = world.store, registered(world.store, version)
    paths = StorePaths(version.key)
    return decide(
        read_document(store, paths.report(manifest.fingerprint, "quality.json"), QualityReport),
        read_document(store, paths.report(manifest.fingerprint, "benchmark.json"), BenchmarkReport),
        promotion=world.settings.promotion,
        newer=world.newer_champion(manifest),
    )


def _carry_out(ruling: Ruling, version: Version, world: World, busy: set[str]) -> None:
    """A held candidate keeps its alias and gives its slot back; a promotion serves it again."""
    if ruling.outcome is Outcome.PROMOTED:
        world.promote(version)
        keep = kept(world.registry, [version.model], world.settings.serving.warm)
        slots = world.serving.slots()
        others = {(s.key, s.digest) for s in slots if s.model_name != version.model}
        tidy(world.serving, keep | others, busy)
    else:
        rejected = ruling.outcome is Outcome.REJECTED
        withdraw(world.registry, world.serving, version, drop_alias=rejected)
        world.restore(version.model)
    world.registry.tag(
        version,
        {
            OUTCOME_TAG: ruling.outcome.value,
            "ai-how.reasons": "; ".join(ruling.reasons)[:4000],
        },
    )


def _promoted_at(ruling: Ruling, registry: Registry, version: Version) -> str | None:
    if ruling.outcome is not Outcome.PROMOTED:
        return None
    found = registry.numbered(version.model, version.number)
    return found.promoted_at if found else None


def _keep(decision: Decision, version: Version, store: ObjectStore) -> None:
    """For the checkpoint's page; the record of the decision is Dagster's."""
    manifest = registered(store, version)
    name = StorePaths(decision.key).report(manifest.fingerprint, "decision.json")
    store.write(name, decision.model_dump_json().encode())


def _decision_metadata(
    decision: Decision, settings: Settings
) -> dict[str, dg.MetadataValue | str | list[str]]:
    optional = {
        "fix": decision.fix,
        "previous": decision.previous,
        "promoted_at": decision.promoted_at,
    }
    return {
        "outcome": decision.outcome.value,
        "reasons": list(decision.reasons),
        **{name: value for name, value in optional.items() if value},
        "requested_by": decision.requested_by,
        "endpoint": dg.MetadataValue.url(f"{settings.gateway_url}/v1"),
    }
