"""Asks a served checkpoint its model's evaluation suite and lets the quality gate judge it."""

from cloud_assets import keys
from cloud_assets.documents import Manifest, QualityReport
from cloud_assets.evaluation.quality import Measurement, measure
from cloud_assets.evaluation.suite import Suite, SuiteItem, read_suite
from cloud_assets.identity import StorePaths, record_of
from cloud_assets.lineage import read_document
from cloud_assets.settings import Settings
from resources.errors import NeedsRepair
from resources.mlflow import Registry
from resources.object_store import ObjectStore
from resources.openai.client import OpenAIClient
from resources.openai.wire import Question
from resources.serving import Slot


def suite_of(settings: Settings, model: str) -> Suite:
    """The evaluation suite of a model. Raises NeedsRepair when the settings name none."""
    path = settings.evaluation.suites.get(model)
    if path is None:
        raise NeedsRepair(
            "the evaluation",
            f"find a suite for `{model}`",
            "the settings name none",
            hint=f"set platform.evaluation.suites.{model} to a file of JSON lines",
        )
    return read_suite(path)


def evaluate(suite: Suite, slot: Slot, settings: Settings) -> Measurement:
    """The answers of `slot` to the whole suite, greedy."""
    client = OpenAIClient(slot.url)

    def ask(item: SuiteItem) -> str:
        limit = settings.evaluation.max_tokens
        return client.complete(slot.model_name, _question(item), max_tokens=limit).text

    try:
        return measure(suite, ask)
    finally:
        client.close()


def champion_report(model: str, store: ObjectStore, registry: Registry) -> QualityReport | None:
    """The quality report of what is promoted now, to compare a candidate with."""
    champion = registry.alias(model, keys.CHAMPION)
    if champion is None:
        return None
    manifest = read_document(store, record_of(champion.source), Manifest)
    if manifest is None:
        return None
    name = StorePaths(champion.key).report(manifest.fingerprint, "quality.json")
    return read_document(store, name, QualityReport)


def _question(item: SuiteItem) -> Question:
    if isinstance(item.question, str):
        return item.question
    return [{"role": message.role, "content": message.content} for message in item.question]
