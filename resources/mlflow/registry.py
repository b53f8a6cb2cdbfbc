"""MLflow as a registry of checkpoints: a registered model a model, a version a published digest.

A version points at bytes that stand elsewhere; nothing is uploaded through MLflow but reports.
Every call can be repeated: what is there already is found by its digest and returned.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from resources.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

DIGEST_TAG = "ai-how.digest"
KEY_TAG = "ai-how.key"
LOGGED_MODEL_TAG = "ai-how.logged-model"
_PERMANENT = frozenset({"INVALID_PARAMETER_VALUE", "RESOURCE_ALREADY_EXISTS", "PERMISSION_DENIED"})

logging.getLogger("mlflow").setLevel(logging.WARNING)


@dataclass(frozen=True)
class Registration:
    """A published checkpoint to be registered; `source` is the URL of its directory.

    `history` holds the trainer's figures as (name, step, value).
    """

    model: str
    key: str
    digest: str
    source: str
    run: str
    step: int
    tags: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    history: Sequence[tuple[str, int, float]] = ()


@dataclass(frozen=True)
class Version:
    """A registered version with what is needed to find its checkpoint and its metrics."""

    model: str
    number: int
    key: str
    digest: str
    source: str
    run_id: str
    model_id: str
    aliases: tuple[str, ...] = ()


class Registry:
    """An MLflow server at `url`. Raises TransientError when it cannot be reached."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._connected: MlflowClient | None = None

    @property
    def _client(self) -> "MlflowClient":
        if self._connected is None:
            from mlflow import MlflowClient

            self._connected = MlflowClient(tracking_uri=self.url, registry_uri=self.url)
        return self._connected

    def register(self, wanted: Registration) -> tuple[Version, bool]:
        """The version of `wanted.digest` and whether it was made by this call."""
        with self._errors(f"register `{wanted.key}`"):
            found = self.version(wanted.model, wanted.key, wanted.digest)
            if found is not None:
                return found, False
            experiment = self._experiment(wanted.model)
            run_id = self._run(experiment, wanted)
            model_id = self._logged_model(experiment, run_id, wanted)
            self._registered_model(wanted.model)
            tags = {KEY_TAG: wanted.key, DIGEST_TAG: wanted.digest, LOGGED_MODEL_TAG: model_id}
            made = self._client.create_model_version(
                wanted.model,
                wanted.source,
                run_id=run_id,
                model_id=model_id,
                tags={**tags, **wanted.tags},
                description=f"checkpoint {wanted.key}",
                await_creation_for=0,
            )
            return self._version(made), True

    def version(self, model: str, key: str, digest: str | None = None) -> Version | None:
        """The newest version of a checkpoint key, or the one of these very bytes."""
        condition = f"tags.`{KEY_TAG}` = '{key}'"
        if digest is not None:
            condition += f" and tags.`{DIGEST_TAG}` = '{digest}'"
        with self._errors(f"look up `{key}`"):
            return self._find(model, condition)

    def alias(self, model: str, alias: str) -> Version | None:
        """The version that `alias` names."""
        from mlflow.exceptions import MlflowException

        with self._errors(f"look up `{model}@{alias}`"):
            try:
                return self._version(self._client.get_model_version_by_alias(model, alias))
            except MlflowException as error:
                if "not found" in str(error):
                    return None
                raise

    def set_alias(self, version: Version, alias: str) -> None:
        with self._errors(f"point `{version.model}@{alias}` at version {version.number}"):
            self._client.set_registered_model_alias(version.model, alias, str(version.number))

    def delete_alias(self, model: str, alias: str) -> None:
        """Remove the alias; nothing happens where there is none."""
        with self._errors(f"remove `{model}@{alias}`"):
            self._client.delete_registered_model_alias(model, alias)

    def models(self) -> tuple[str, ...]:
        """The names of the registered models that this platform registered."""
        with self._errors("list the registered models"):
            return tuple(model.name for model in self._client.search_registered_models())

    def tag(self, version: Version, tags: Mapping[str, str]) -> None:
        with self._errors(f"tag version {version.number} of `{version.model}`"):
            for name, value in tags.items():
                self._client.set_model_version_tag(version.model, str(version.number), name, value)

    def log(self, version: Version, metrics: Mapping[str, float], *, dataset: str) -> None:
        """Metrics of the checkpoint, on its run and its logged model, at the checkpoint's step."""
        with self._errors(f"log metrics of `{version.key}`"):
            from mlflow.entities import Metric
            from mlflow.utils.time import get_current_time_millis

            step = int(version.key.rpartition(".")[2])
            now = get_current_time_millis()
            self._client.log_batch(
                version.run_id,
                metrics=[
                    Metric(
                        name, value, now, step,
                        model_id=version.model_id, dataset_name=dataset, dataset_digest="-",
                    )
                    for name, value in metrics.items()
                ],
            )  # fmt: skip

    def attach(self, version: Version, name: str, text: str) -> str:
        """Keep a text artifact with the checkpoint's run; returns its address in the UI."""
        with self._errors(f"attach {name} to `{version.key}`"):
            self._client.log_text(version.run_id, text, name)
            return f"{self.page(version)}/artifacts/{name}"

    def page(self, version: Version) -> str:
        """The address of the run in MLflow's UI."""
        experiment = self._client.get_run(version.run_id).info.experiment_id
        return f"{self.url}/#/experiments/{experiment}/runs/{version.run_id}"

    def version_page(self, version: Version) -> str:
        return f"{self.url}/#/models/{version.model}/versions/{version.number}"

    def _find(self, model: str, condition: str) -> Version | None:
        found = self._client.search_model_versions(
            f"name = '{model}' and {condition}", max_results=1, order_by=["version_number DESC"]
        )
        return self._version(found[0]) if found else None

    def _experiment(self, model: str) -> str:
        found = self._client.get_experiment_by_name(model)
        return str(found.experiment_id if found else self._client.create_experiment(model))

    def _run(self, experiment: str, wanted: Registration) -> str:
        """The run of this digest; one left behind by a killed registration is taken up again."""
        tagged = f"tags.`{KEY_TAG}` = '{wanted.key}' and tags.`{DIGEST_TAG}` = '{wanted.digest}'"
        found = self._client.search_runs([experiment], tagged, max_results=1)
        if found:
            return str(found[0].info.run_id)
        run = self._client.create_run(
            experiment,
            run_name=wanted.key,
            tags={KEY_TAG: wanted.key, DIGEST_TAG: wanted.digest},
        )
        self._log_training(run.info.run_id, wanted)
        self._client.set_terminated(run.info.run_id)
        return str(run.info.run_id)

    def _log_training(self, run_id: str, wanted: Registration) -> None:
        from mlflow.entities import Metric, Param
        from mlflow.utils.time import get_current_time_millis

        now = get_current_time_millis()
        self._client.log_batch(
            run_id,
            metrics=[Metric(name, value, now, step) for name, step, value in wanted.history[-900:]],
            params=[Param(name, value[:500]) for name, value in wanted.parameters.items()],
        )

    def _logged_model(self, experiment: str, run_id: str, wanted: Registration) -> str:
        found = self._client.search_logged_models(
            [experiment], f"source_run_id = '{run_id}'", max_results=1
        )
        if found:
            return str(found[0].model_id)
        made = self._client.create_logged_model(
            experiment,
            name=wanted.key.replace(".", "-"),
            source_run_id=run_id,
            tags={KEY_TAG: wanted.key, DIGEST_TAG: wanted.digest},
        )
        self._client.finalize_logged_model(made.model_id, "READY")
        return str(made.model_id)

    def _registered_model(self, name: str) -> None:
        if not self._client.search_registered_models(f"name = '{name}'"):
            self._client.create_registered_model(name)

    def _version(self, found: "ModelVersion") -> Version:
        tags = found.tags
        return Version(
            model=found.name,
            number=int(found.version),
            key=tags.get(KEY_TAG, ""),
            digest=tags.get(DIGEST_TAG, ""),
            source=found.source or "",
            run_id=found.run_id or "",
            model_id=tags.get(LOGGED_MODEL_TAG, ""),
            aliases=tuple(found.aliases),
        )

    @contextmanager
    def _errors(self, action: str) -> Iterator[None]:
        from mlflow.exceptions import MlflowException

        try:
            yield
        except MlflowException as error:
            reason = str(error).splitlines()[0][:300]
            if error.error_code in _PERMANENT:
                raise PermanentError("MLflow", action, reason) from error
            raise TransientError(
                "MLflow", action, reason, hint=f"see whether {self.url} answers"
            ) from error
