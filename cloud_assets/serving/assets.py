"""The serving end of the graph: a candidate for each checkpoint, its release, and the endpoints."""

from datetime import UTC, datetime
from typing import Literal

import dagster as dg

from cloud_assets import keys
from cloud_assets.documents import BenchmarkReport, Decision, Outcome, QualityReport
from cloud_assets.identity import CheckpointKey, StorePaths
from cloud_assets.lineage import outcomes, published, read_document, registered, servable
from cloud_assets.serving.promotion import kept, promote, route_to, tidy, withdraw
from cloud_assets.serving.release import Ruling, decide
from cloud_assets.settings import Settings
from resources.errors import PermanentError
from resources.mlflow import Registry, Version
from resources.object_store import ObjectStore
from resources.serving import ServingBackend

ANSWERS = keys.checkpoint_check(
    "answers",
    keys.INFERENCE_SERVICE,
    "A real completion came back under the model's name.",
)


@dg.asset(
    name=keys.INFERENCE_SERVICE,
    deps=[keys.REGISTERED_MODEL],
    partitions_def=keys.CHECKPOINTS,
    group_name=keys.ML_GROUP,
    owners=keys.ML_OWNERS,
    kinds={"openai"},
    code_version="1",
    pool=keys.GPU_POOL,
    check_specs=[ANSWERS],
)
def inference_service(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    store: dg.ResourceParam[ObjectStore],
    serving: dg.ResourceParam[ServingBackend],
) -> dg.MaterializeResult:
    """The checkpoint on a model server of its own, beside whatever serves now."""
    with outcomes():
        manifest = published(store, context.partition_key)
        served = serving.serve(
            servable(manifest, store, settings),
            timeout_seconds=settings.serving.timeout_seconds,
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
    """`decide` lets the gates rule; `promote` and `rollback` are somebody's word."""

    action: Literal["decide", "promote", "rollback"] = "decide"
    requested_by: str = "the new_checkpoints sensor"
    reason: str = ""


@dg.asset(
    name=keys.RELEASE,
    deps=[keys.INFERENCE_SERVICE, keys.QUALITY_REPORT, keys.BENCHMARK_REPORT],
    partitions_def=keys.CHECKPOINTS,
    group_name=keys.ML_GROUP,
    owners=keys.ML_OWNERS,
    kinds={"mlflow"},
    code_version="1",
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
    with outcomes():
        version = _version(registry, store, key, config.action)
        ruling = _rule(config, settings, store, key)
        before = _champion_beside(registry, version)
        world = _World(settings, store, registry, serving)
        _carry_out(ruling, version, world, busy_keys(context.instance) - {key})
        decision = Decision(
            key=key,
            outcome=ruling.outcome,
            reasons=ruling.reasons,
            fix=ruling.fix,
            previous=before.key if before else None,
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
    world = _World(settings, store, registry, serving)
    with outcomes():
        models = sorted({root.model for root in settings.roots})
        changed = [change for model in models for change in world.converge(model)]
        keep = kept(registry, models, settings.serving.keep_warm)
        changed += [f"released {name}" for name in tidy(serving, keep, busy_keys(context.instance))]
        routes = serving.routes()
    return dg.MaterializeResult(
        metadata={
            "changed": changed,
            **{model: route.key for model, route in sorted(routes.items())},
            "url": dg.MetadataValue.url(f"{settings.gateway_url}/v1"),
            "converged_at": dg.MetadataValue.timestamp(datetime.now(UTC)),
        }
    )


class _World:
    """The systems that a promotion touches, taken together."""

    def __init__(
        self,
        settings: Settings,
        store: ObjectStore,
        registry: Registry,
        serving: ServingBackend,
    ) -> None:
        self.settings = settings
        self.store = store
        self.registry = registry
        self.serving = serving

    def promote(self, version: Version) -> None:
        manifest = registered(self.store, version)
        served = self.serving.serve(
            servable(manifest, self.store, self.settings),
            timeout_seconds=self.settings.serving.timeout_seconds,
        )
        promote(self.registry, self.serving, version, served.slot)

    def converge(self, model: str) -> list[str]:
        """Bring the champion up and behind its endpoint; what that took."""
        champion = self.registry.alias(model, keys.CHAMPION)
        if champion is None:
            return []
        manifest = registered(self.store, champion)
        served = self.serving.serve(
            servable(manifest, self.store, self.settings),
            timeout_seconds=self.settings.serving.timeout_seconds,
        )
        changed = [] if served.reused else [f"started {served.slot.name}"]
        with self.serving.exclusive(model):
            current = self.registry.alias(model, keys.CHAMPION)
            wanted = route_to(served.slot)
            if current == champion and self.serving.routes().get(model) != wanted:
                self.serving.route(model, wanted)
                changed.append(f"routed {model} to {champion.key}")
        return changed


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


def _version(registry: Registry, store: ObjectStore, key: str, action: str) -> Version:
    """The version of what is published; a rollback returns to what was promoted before."""
    model = CheckpointKey.parse(key).model
    if action == "rollback":
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


def _rule(config: ReleaseRequest, settings: Settings, store: ObjectStore, key: str) -> Ruling:
    if config.action != "decide":
        why = f": {config.reason}" if config.reason else ""
        return Ruling(Outcome.PROMOTED, (f"{config.action} asked by {config.requested_by}{why}",))
    manifest = published(store, key)
    paths = StorePaths(key)
    return decide(
        read_document(store, paths.report(manifest.fingerprint, "quality.json"), QualityReport),
        read_document(store, paths.report(manifest.fingerprint, "benchmark.json"), BenchmarkReport),
        settings.promotion,
    )


def _carry_out(ruling: Ruling, version: Version, world: "_World", busy: set[str]) -> None:
    """A held candidate keeps its alias and gives its slot back; a promotion serves it again."""
    if ruling.outcome is Outcome.PROMOTED:
        world.promote(version)
        keep = kept(world.registry, [version.model], world.settings.serving.keep_warm)
        slots = world.serving.slots()
        others = {(s.key, s.digest) for s in slots if s.model_name != version.model}
        tidy(world.serving, keep | others, busy)
    else:
        rejected = ruling.outcome is Outcome.REJECTED
        withdraw(world.registry, world.serving, version, drop_alias=rejected)
    world.registry.tag(
        version,
        {
            "ai-how.outcome": ruling.outcome.value,
            "ai-how.reasons": "; ".join(ruling.reasons)[:4000],
        },
    )


def _keep(decision: Decision, version: Version, store: ObjectStore) -> None:
    """For the checkpoint's page; the record of the decision is Dagster's."""
    manifest = registered(store, version)
    name = StorePaths(decision.key).report(manifest.fingerprint, "decision.json")
    store.write(name, decision.model_dump_json().encode())


def _decision_metadata(
    decision: Decision, settings: Settings
) -> dict[str, dg.MetadataValue | str | list[str]]:
    optional = {"fix": decision.fix, "previous": decision.previous}
    return {
        "outcome": decision.outcome.value,
        "reasons": list(decision.reasons),
        **{name: value for name, value in optional.items() if value},
        "requested_by": decision.requested_by,
        "endpoint": dg.MetadataValue.url(f"{settings.gateway_url}/v1"),
    }
