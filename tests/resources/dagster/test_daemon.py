"""The daemon's preparations, on a real instance."""

import socket
from pathlib import Path

import pytest
import yaml
from dagster import DagsterInstance

from cloud_assets.cli.programs import instance_config
from resources.dagster import daemon
from resources.dagster.daemon import POOLS_VARIABLE, limit_pools


@pytest.fixture
def instance(tmp_path: Path) -> DagsterInstance:
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(instance_config()))
    return DagsterInstance.from_config(str(tmp_path))


def test_a_pool_has_its_limit_before_the_first_run_that_needs_it(
    instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(POOLS_VARIABLE, "gpu")
    limit_pools(instance)
    found = [(pool.name, pool.limit) for pool in instance.event_log_storage.get_pool_limits()]
    instance.dispose()
    assert found == [("gpu", 1)]


def test_the_daemon_waits_until_somebody_listens_for_code(tmp_path: Path) -> None:
    path = tmp_path / "code.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        assert not daemon.wait_for_code_server(str(path), seconds=0.3)
        server.listen()
        assert daemon.wait_for_code_server(str(path), seconds=30)
