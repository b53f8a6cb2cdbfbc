"""MLflow as a registry of checkpoints: a registered model a model, a version a published digest.

A version points at bytes that stand elsewhere; nothing is uploaded through MLflow but reports.
Every call can be repeated: what is there already is found by its digest and returned.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from resources.errors import PermanentError, TransientError
from resources.mlflow.connection import connected
from resources.mlflow.rest import KEY_TAG, NO_SUCH_ALIAS
from resources.mlflow.version import Registration, Version

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

DIGEST_TAG = "ai-how.digest"
LOGGED_MODEL_TAG = "ai-how.logged-model"
OUTCOME_TAG = "ai-how.outcome"
#: When the version became champion, ISO 8601 in UTC.
PROMOTED_TAG = "ai-how.promoted-at"
#: One call may carry a thousand entries.
FIGURES_KEPT = 900
#: Somebody else made or removed the same at the same time.
_PRESENT, _ABSENT = frozenset({"RESOURCE_ALREADY_EXISTS"}), frozenset({"RESOURCE_DOES_NOT_EXIST"})
_PERMANENT = _PRESENT | _ABSENT | {"INVALID_PARAMETER_VALUE", "PERMISSION_DENIED"}

T = TypeVar("T")

logging.getLogger("mlflow").setLevel(logging.WARNING)


class Registry:
    """An MLflow server at `url`. Raises TransientError when it cannot be reached.

    Where it keeps artifacts in a bucket, they go there and not through it: to `s3_endpoint`, with
    the keys of the environment.
    """

    def __init__(self, url: str, *, s3_endpoint: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._s3_endpoint = s3_endpoint
        self._connected: MlflowClient | None = None

    @property
    def _client(self) -> "MlflowClient":
        if self._connected is None:
            self._connected = connected(self.url, s3_endpoint=self._s3_endpoint)
        return self._connected

    def register(self, wanted: Registration) -> tuple[Version, bool]:
        """The version of `wanted.digest` and whether it was made by this call.

        The registry cannot be locked, and a call whose answer is lost is sent again: of several
        versions of the same bytes the lowest counts, and whoever sees the others removes them.
        """
        with self._errors(f"register `{wanted.key}`"):
            found = self._same(wanted)
            made = None if found else self._make_unless_another_did(wanted)
            first, *others = found or self._same(wanted)
            for other in others:
                _unless(_ABSENT, self._client.delete_model_version, other.model, str(other.number))
            self._remove_leftovers(first)
            return first, first.number == made

    def version(self, model: str, key: str, digest: str | None = None) -> Version | None:
        """The newest version of a checkpoint key, or the one of these very bytes."""
        condition = f"tags.`{KEY_TAG}` = '{key}'"
        if digest is not None:
            condition += f" and tags.`{DIGEST_TAG}` = '{digest}'"
        with self._errors(f"look up `{key}`"):
            return self._find(model, condition)

    def alias(self, model: str, alias: str) -> Version | None:
        """The version that `alias` names."""
        with self._errors(f"look up `{model}@{alias}`"):
            found = _unless(NO_SUCH_ALIAS, self._client.get_model_version_by_alias, model, alias)
            return None if found is None else self._version(found)

    def numbered(self, model: str, number: int) -> Version | None:
        with self._errors(f"look up version {number} of `{model}`"):
            found = _unless(_ABSENT, self._client.get_model_version, model, str(number))
            return None if found is None else self._version(found)

    def promoted(self, model: str) -> tuple[Version, ...]:
        """Every version that ever became champion, the last promoted first."""
        with self._errors(f"list the champions of `{model}`"):
            found = self._client.search_model_versions(
                f"name = '{model}' and tags.`{PROMOTED_TAG}` LIKE '%'"
            )
            newest = sorted(found, key=lambda each: str(each.tags[PROMOTED_TAG]), reverse=True)
            return tuple(self._version(each) for each in newest)

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
            return self.attachment(version, name)

    def attachment(self, version: Version, name: str) -> str:
        """The address in the UI of what is, or will be, attached under this name."""
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

    def _same(self, wanted: Registration) -> list[Version]:
        """All versions of this key and digest, the lowest number first."""
        found = self._client.search_model_versions(
            f"name = '{wanted.model}' and {_tagged(wanted.key, wanted.digest)}",
            order_by=["version_number ASC"],
        )
        return [self._version(each) for each in found]

    def _make_unless_another_did(self, wanted: Registration) -> int | None:
        """Whoever is first removes what the others have half made: theirs is then found."""
        from mlflow.exceptions import MlflowException

        try:
            return self._make(wanted)
        except MlflowException as error:
            if error.error_code in _PERMANENT and self._same(wanted):
                return None
            raise

    def _make(self, wanted: Registration) -> int:
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
        return int(made.version)

    def _experiment(self, model: str) -> str:
        found = self._client.get_experiment_by_name(model)
        while found is None:
            _unless(_PRESENT, self._client.create_experiment, model)
            found = self._client.get_experiment_by_name(model)
        return str(found.experiment_id)

    def _run(self, experiment: str, wanted: Registration) -> str:
        """The run of this digest; one left behind by a killed registration is taken up again."""
        same = _tagged(wanted.key, wanted.digest)
        found = self._client.search_runs([experiment], same, max_results=1)
        run = found[0] if found else self._client.create_run(
            experiment, run_name=wanted.key, tags={KEY_TAG: wanted.key, DIGEST_TAG: wanted.digest},
        )  # fmt: skip
        if run.info.status == "RUNNING":
            self._log_training(run.info.run_id, run.info.start_time, wanted)
            self._client.set_terminated(run.info.run_id)
        return str(run.info.run_id)

    def _log_training(self, run_id: str, timestamp: int, wanted: Registration) -> None:
        """Logged twice under one timestamp, a figure is kept once."""
        from mlflow.entities import Metric, Param

        figures = wanted.history[-FIGURES_KEPT:]
        self._client.log_batch(
            run_id,
            metrics=[Metric(name, value, timestamp, step) for name, step, value in figures],
            params=[Param(name, value[:500]) for name, value in wanted.parameters.items()],
        )

    def _logged_model(self, experiment: str, run_id: str, wanted: Registration) -> str:
        found = self._client.search_logged_models(
            [experiment], f"source_run_id = '{run_id}'", max_results=1
        )
        model = found[0] if found else self._client.create_logged_model(
            experiment, name=wanted.key.replace(".", "-"), source_run_id=run_id,
            tags={KEY_TAG: wanted.key, DIGEST_TAG: wanted.digest},
        )  # fmt: skip
        if str(model.status) != "READY":
            self._client.finalize_logged_model(model.model_id, "READY")
        return str(model.model_id)

    def _registered_model(self, name: str) -> None:
        if not self._client.search_registered_models(f"name = '{name}'"):
            _unless(_PRESENT, self._client.create_registered_model, name)

    def _remove_leftovers(self, kept: Version) -> None:
        """Runs and logged models of the same bytes that the version does not point at."""
        experiment = self._experiment(kept.model)
        tagged = _tagged(kept.key, kept.digest)
        for run in self._client.search_runs([experiment], tagged):
            if run.info.run_id != kept.run_id:
                _unless(_ABSENT, self._client.delete_run, run.info.run_id)
        for model in self._client.search_logged_models([experiment], tagged):
            if model.model_id != kept.model_id:
                _unless(_ABSENT, self._client.delete_logged_model, model.model_id)

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
            outcome=tags.get(OUTCOME_TAG, ""),
            promoted_at=tags.get(PROMOTED_TAG, ""),
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


def _tagged(key: str, digest: str) -> str:
    return f"tags.`{KEY_TAG}` = '{key}' and tags.`{DIGEST_TAG}` = '{digest}'"


def _unless(codes: Collection[str], call: Callable[..., T], *arguments: str) -> T | None:
    """What the call returns; None after an error that `codes` names."""
    from mlflow.exceptions import MlflowException

    try:
        return call(*arguments)
    except MlflowException as error:
        if error.error_code not in codes:
            raise
        return None
