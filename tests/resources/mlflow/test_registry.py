"""Registering in a real MLflow: once whatever happens in between, found again by every name."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import mlflow
import pytest
from mlflow.entities import Run

from resources.errors import PermanentError, TransientError
from resources.mlflow import Registration, Registry, Version
from resources.mlflow.registry import DIGEST_TAG
from resources.mlflow.rest import KEY_TAG
from resources.ports import free_ports
from tests.doubles.breaking_proxy import BreakingProxy

pytestmark = pytest.mark.real
Wanted = Callable[..., Registration]

#: The requests of a first registration that change something.
CHANGES = 8


class Server:
    """What MLflow itself holds, apart from the code under test."""

    def __init__(self, url: str) -> None:
        self.client = mlflow.MlflowClient(tracking_uri=url, registry_uri=url)

    def counts(self, wanted: Registration) -> tuple[int, int, int]:
        """Versions, runs and logged models of these bytes."""
        tagged = f"tags.`{KEY_TAG}` = '{wanted.key}' and tags.`{DIGEST_TAG}` = '{wanted.digest}'"
        experiment = self.client.get_experiment_by_name(wanted.model)
        if experiment is None:
            return 0, 0, 0
        place = [experiment.experiment_id]
        return (
            len(self.client.search_model_versions(f"name = '{wanted.model}' and {tagged}")),
            len(self.client.search_runs(place, tagged)),
            len(self.client.search_logged_models(place, tagged)),
        )

    def run(self, version: Version) -> Run:
        return self.client.get_run(version.run_id)


@pytest.fixture
def server(mlflow_url: str) -> Server:
    return Server(mlflow_url)


def test_a_registration_is_a_version_a_run_and_a_logged_model(
    registry: Registry, server: Server, wanted: Wanted
) -> None:
    registry.register(wanted())
    assert server.counts(wanted()) == (1, 1, 1)


def test_a_first_registration_makes_so_many_changes(proxy: BreakingProxy, wanted: Wanted) -> None:
    Registry(proxy.url).register(wanted())
    assert len(proxy.changes) == CHANGES


def test_the_version_says_what_was_registered(registry: Registry, wanted: Wanted) -> None:
    version, made = registry.register(wanted())
    expected = wanted()
    assert (made, version.key, version.digest, version.source) == (
        True,
        expected.key,
        expected.digest,
        expected.source,
    )


def test_registering_again_finds_the_same_version(registry: Registry, wanted: Wanted) -> None:
    first, _ = registry.register(wanted())
    assert registry.register(wanted()) == (first, False)


def test_registering_again_changes_nothing(
    registry: Registry, proxy: BreakingProxy, wanted: Wanted
) -> None:
    registry.register(wanted())
    Registry(proxy.url).register(wanted())
    assert proxy.changes == []


def test_other_bytes_under_the_same_key_are_another_version(
    registry: Registry, wanted: Wanted
) -> None:
    numbers = [registry.register(wanted(digest=digest))[0].number for digest in ("a", "b")]
    assert numbers == [1, 2]


def test_the_same_bytes_under_another_key_are_another_version(
    registry: Registry, wanted: Wanted
) -> None:
    numbers = [registry.register(wanted(step, digest="a"))[0].number for step in (1, 2)]
    assert numbers == [1, 2]


def test_a_key_names_its_newest_version(registry: Registry, wanted: Wanted) -> None:
    for digest in ("a", "b"):
        registry.register(wanted(digest=digest))
    found = registry.version(wanted().model, wanted().key)
    assert found is not None
    assert found.digest == "b"


def test_an_unknown_key_has_no_version(registry: Registry, model: str) -> None:
    assert registry.version(model, f"{model}.run.1") is None


@pytest.mark.parametrize("number", range(1, CHANGES + 1))
def test_what_was_broken_off_is_made_good(
    registry: Registry, server: Server, proxy: BreakingProxy, wanted: Wanted, number: int
) -> None:
    proxy.lose_request_from = number
    with pytest.raises(TransientError):
        Registry(proxy.url).register(wanted())
    registry.register(wanted())
    assert server.counts(wanted()) == (1, 1, 1)


@pytest.mark.parametrize("number", range(1, CHANGES + 1))
def test_a_lost_answer_doubles_nothing(
    server: Server, proxy: BreakingProxy, wanted: Wanted, number: int
) -> None:
    proxy.lose_answer_of = number
    Registry(proxy.url).register(wanted())
    assert server.counts(wanted()) == (1, 1, 1)


@pytest.mark.parametrize("number", range(1, CHANGES + 1))
def test_what_the_trainer_wrote_is_kept_once_after_a_break(
    registry: Registry, server: Server, proxy: BreakingProxy, wanted: Wanted, number: int
) -> None:
    proxy.lose_request_from = number
    with pytest.raises(TransientError):
        Registry(proxy.url).register(wanted())
    version, _ = registry.register(wanted())
    kept = server.client.get_metric_history(version.run_id, "loss")
    assert [(metric.step, metric.value) for metric in kept or ()] == [(50, 2.0), (100, 1.0)]


def test_a_registration_that_was_broken_off_ends_as_a_finished_run(
    registry: Registry, server: Server, proxy: BreakingProxy, wanted: Wanted
) -> None:
    proxy.lose_request_from = 3
    with pytest.raises(TransientError):
        Registry(proxy.url).register(wanted())
    version, _ = registry.register(wanted())
    assert server.run(version).info.status == "FINISHED"


@pytest.fixture
def race(mlflow_url: str) -> Callable[[list[Registration]], list[int]]:
    """Registers all at the same moment, each through a client of its own."""

    def run(registrations: list[Registration]) -> list[int]:
        start = threading.Barrier(len(registrations))

        def register(wanted: Registration) -> int:
            own = Registry(mlflow_url)
            own.models()
            start.wait()
            return own.register(wanted)[0].number

        with ThreadPoolExecutor(len(registrations)) as pool:
            return list(pool.map(register, registrations))

    return run


def test_four_registrations_of_the_same_bytes_at_once_are_one(
    server: Server, wanted: Wanted, race: Callable[[list[Registration]], list[int]]
) -> None:
    numbers = race([wanted()] * 4)
    assert (set(numbers), server.counts(wanted())) == ({numbers[0]}, (1, 1, 1))


@pytest.mark.parametrize(
    "tidied_before", ["log_batch", "create_logged_model", "create_model_version"]
)
def test_one_whose_half_made_parts_the_first_removes_finds_the_first(
    registry: Registry, server: Server, wanted: Wanted, mlflow_url: str, tidied_before: str
) -> None:
    late = Registry(mlflow_url)

    def register_first(name: str) -> None:
        real = getattr(late._client, name)

        def call(*given: object, **named: object) -> object:
            registry.register(wanted())
            return real(*given, **named)

        setattr(late._client, name, call)

    for moment in ("create_run", tidied_before):
        register_first(moment)
    found = late.register(wanted())
    assert (found, server.counts(wanted())) == ((registry.register(wanted())[0], False), (1, 1, 1))


def test_the_first_checkpoints_of_a_model_can_be_registered_at_once(
    wanted: Wanted, race: Callable[[list[Registration]], list[int]]
) -> None:
    assert sorted(race([wanted(step) for step in (1, 2, 3)])) == [1, 2, 3]


def test_what_the_trainer_wrote_stands_on_the_run(
    registry: Registry, server: Server, wanted: Wanted
) -> None:
    version, _ = registry.register(wanted())
    found = server.run(version).data
    assert (found.metrics, found.params) == ({"loss": 1.0}, {"max_steps": "200"})


def test_a_long_history_is_cut_to_its_end(
    registry: Registry, server: Server, wanted: Wanted
) -> None:
    long = [("loss", step, float(step)) for step in range(5000)]
    version, _ = registry.register(
        Registration(**{**vars(wanted()), "history": long, "parameters": {}})
    )
    assert server.run(version).data.metrics == {"loss": 4999.0}


def test_figures_stand_on_the_run_at_the_step_of_the_checkpoint(
    registry: Registry, server: Server, wanted: Wanted
) -> None:
    version, _ = registry.register(wanted(250))
    registry.log(version, {"accuracy": 0.75}, dataset="suite")
    kept = server.client.get_metric_history(version.run_id, "accuracy")
    assert [(metric.step, metric.value) for metric in kept or ()] == [(250, 0.75)]


def test_figures_stand_on_the_logged_model(
    registry: Registry, server: Server, wanted: Wanted
) -> None:
    version, _ = registry.register(wanted())
    registry.log(version, {"accuracy": 0.75}, dataset="suite")
    found = server.client.get_logged_model(version.model_id).metrics or []
    assert [(metric.key, metric.value, metric.dataset_name) for metric in found] == [
        ("accuracy", 0.75, "suite")
    ]


def test_an_attached_text_can_be_read_back(
    registry: Registry, server: Server, wanted: Wanted, tmp_path: Path
) -> None:
    version, _ = registry.register(wanted())
    registry.attach(version, "report.html", "<p>über</p>")
    file = server.client.download_artifacts(version.run_id, "report.html", str(tmp_path))
    assert Path(file).read_text("utf-8") == "<p>über</p>"


def test_an_attached_text_is_replaced(
    registry: Registry, server: Server, wanted: Wanted, tmp_path: Path
) -> None:
    version, _ = registry.register(wanted())
    for text in ("old", "new"):
        registry.attach(version, "report.html", text)
    file = server.client.download_artifacts(version.run_id, "report.html", str(tmp_path))
    assert Path(file).read_text("utf-8") == "new"


def test_tags_are_set(registry: Registry, server: Server, wanted: Wanted) -> None:
    version, _ = registry.register(wanted())
    registry.tag(version, {"ai-how.outcome": "promoted"})
    found = server.client.get_model_version(version.model, str(version.number))
    assert found.tags["ai-how.outcome"] == "promoted"


def test_an_alias_names_its_version(registry: Registry, wanted: Wanted) -> None:
    version, _ = registry.register(wanted())
    registry.set_alias(version, "champion")
    found = registry.alias(version.model, "champion")
    assert found is not None
    assert found.number == version.number


def test_an_alias_moves(registry: Registry, wanted: Wanted) -> None:
    first, second = (registry.register(wanted(step))[0] for step in (1, 2))
    registry.set_alias(first, "champion")
    registry.set_alias(second, "champion")
    found = registry.alias(first.model, "champion")
    assert found is not None
    assert found.number == second.number


def test_an_alias_that_was_never_set_names_nothing(registry: Registry, wanted: Wanted) -> None:
    registry.register(wanted())
    assert registry.alias(wanted().model, "champion") is None


def test_an_alias_of_an_unknown_model_names_nothing(registry: Registry, model: str) -> None:
    assert registry.alias(model, "champion") is None


def test_an_alias_can_be_removed_twice(registry: Registry, wanted: Wanted) -> None:
    version, _ = registry.register(wanted())
    registry.set_alias(version, "candidate")
    for _ in range(2):
        registry.delete_alias(version.model, "candidate")
    assert registry.alias(version.model, "candidate") is None


def test_registered_models_are_listed(registry: Registry, wanted: Wanted) -> None:
    registry.register(wanted())
    assert wanted().model in registry.models()


def test_pages_of_the_ui_are_there(registry: Registry, wanted: Wanted) -> None:
    version, _ = registry.register(wanted())
    pages = [registry.page(version), registry.version_page(version)]
    assert [httpx.get(page).status_code for page in pages] == [200, 200]


@pytest.mark.parametrize("key", ["it's", "a' or name like '%"])
def test_a_key_that_is_no_key_is_refused_for_good(registry: Registry, model: str, key: str) -> None:
    with pytest.raises(PermanentError):
        registry.version(model, key)


def test_a_version_that_is_gone_cannot_be_named(
    registry: Registry, server: Server, wanted: Wanted
) -> None:
    version, _ = registry.register(wanted())
    server.client.delete_model_version(version.model, str(version.number))
    with pytest.raises(PermanentError):
        registry.set_alias(version, "champion")


def test_a_server_that_is_down_may_be_asked_again(wanted: Wanted) -> None:
    with pytest.raises(TransientError):
        Registry(f"http://127.0.0.1:{free_ports(1)[0]}").register(wanted())


def test_the_hint_names_the_address_that_does_not_answer(wanted: Wanted) -> None:
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    with pytest.raises(TransientError) as raised:
        Registry(url).alias(wanted().model, "champion")
    assert url in str(raised.value.hint)
