"""Fixtures of the sensors: a Dagster instance, a root that is watched, and settings for it."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from cloud_assets.settings import Root, Settings, Watch
from tests.doubles.checkpoints import Checkpoints


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    (tmp_path / "root").mkdir()
    return Checkpoints(tmp_path / "root")


@pytest.fixture
def settings(tmp_path: Path, checkpoints: Checkpoints) -> Settings:
    """One root, no wait for quiet, short ticks."""
    return Settings(
        home=tmp_path / "home",
        roots=(Root(path=checkpoints.root, model="qa"),),
        watch=Watch(quiet_seconds=0).model_copy(update={"hold_seconds": 0.15}),
    )
