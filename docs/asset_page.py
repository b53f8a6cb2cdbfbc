"""The reference page of the graph, from the definitions that Dagster loads."""

from pathlib import Path

import dagster as dg

from cloud_assets import keys
from cloud_assets.definitions import build
from cloud_assets.settings import Settings
from cloud_assets.settings.services import CHARTS, IMAGES, Services
from cloud_assets.settings_file import read_cluster_file
from docs.tables import GENERATED, sentence, table

INTRODUCTION = f"""\
Assets of the models are in the group `{keys.ML_GROUP}`, those of the cluster's services in
`{keys.SERVICES_GROUP}`, as far as `platform.services` names them, and those of virtual machines in
`{keys.MACHINES_GROUP}`, as far as the file has such. Assets of one checkpoint share
the dynamic partition set `checkpoints`, one key per checkpoint: `model.run.step`. A pool bounds how
many runs use the GPU at once. A blocking check ends the run when it fails; the others are judged by
`release`.
"""
#: Every service, each of any image and chart.
EVERYTHING = {
    "images": dict.fromkeys(IMAGES, "any"),
    "charts": dict.fromkeys(CHARTS, "any"),
    "services": {
        name: {} for name, field in Services.model_fields.items() if field.default is None
    },
}
#: Two clusters that share a GPU.
CLUSTERS = Path(__file__).parents[1] / "examples" / "clusters" / "shared-gpu.yaml"
defs = build(
    Settings.model_validate(EVERYTHING).resolved(Path("/")), read_cluster_file(CLUSTERS).clusters
)


def asset_page() -> str:
    """The page as Markdown."""
    graph = defs.resolve_asset_graph()
    lines = [GENERATED, "", "# Assets", "", INTRODUCTION]
    for key in graph.toposorted_asset_keys:
        lines += _asset(graph.get(key).assets_def, key)
    lines += ["## Jobs", "", *table(("job", "what a run does", "assets"), _jobs()), ""]
    lines += ["## Sensors", "", *table(("sensor", "what it does", "asks for"), _sensors()), ""]
    return "\n".join(lines)


def asset_names() -> frozenset[str]:
    """The names of all assets."""
    keys_found = defs.resolve_asset_graph().get_all_asset_keys()
    return frozenset(key.to_user_string() for key in keys_found)


def _asset(definition: dg.AssetsDefinition, key: dg.AssetKey) -> list[str]:
    spec = definition.get_asset_spec(key)
    facts = [
        ("made from", ", ".join(f"`{dep.asset_key.to_user_string()}`" for dep in spec.deps)),
        ("partition", "one a checkpoint" if spec.partitions_def else ""),
        ("kinds", ", ".join(sorted(spec.kinds))),
        ("owners", ", ".join(spec.owners)),
        ("pool", definition.op.pool or ""),
        ("code version", spec.code_version or ""),
    ]
    lines = [f"## `{key.to_user_string()}`", "", sentence(spec.description or ""), ""]
    lines += [*table(("", ""), [fact for fact in facts if fact[1]]), ""]
    checks = [
        (f"`{check.name}`", "yes" if check.blocking else "no", sentence(check.description or ""))
        for check in map(defs.resolve_asset_graph().get_check_spec, _checks_of(key))
    ]
    return lines + ([*table(("check", "blocking", "holds when"), checks), ""] if checks else [])


def _checks_of(key: dg.AssetKey) -> list[dg.AssetCheckKey]:
    """Those that come with the asset in its order, then those of their own."""
    graph = defs.resolve_asset_graph()
    own = [each.key for each in graph.get(key).assets_def.check_specs]
    found = sorted(graph.asset_check_keys, key=lambda each: each.name)
    return own + [each for each in found if each.asset_key == key and each not in own]


def _jobs() -> list[tuple[str, str, str]]:
    found = []
    for job in sorted(defs.resolve_all_job_defs(), key=lambda job: job.name):
        if job.name.startswith("__"):
            continue
        selected = sorted(key.to_user_string() for key in job.asset_layer.selected_asset_keys)
        assets = ", ".join(f"`{name}`" for name in selected)
        found.append((f"`{job.name}`", sentence(job.description or ""), assets))
    return found


def _sensors() -> list[tuple[str, str, str]]:
    return [
        (
            f"`{sensor.name}`",
            sentence(sensor.description or ""),
            ", ".join(f"`{target.job_name}`" for target in sensor.targets),
        )
        for sensor in sorted(defs.sensors or (), key=lambda sensor: sensor.name)
        if isinstance(sensor, dg.SensorDefinition)
    ]
