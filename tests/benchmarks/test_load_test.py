"""What makes a load test say nothing of the checkpoint."""

from dataclasses import replace

import pytest

from cloud_assets.benchmarks.load_test import require_same_engine
from resources.errors import TransientError
from resources.serving import Slot, SlotState

MEASURED = Slot(
    name="slot-m.r.1-dddddddd",
    key="m.r.1",
    digest="d" * 64,
    model_name="m",
    runtime="mlx",
    url="http://127.0.0.1:1",
    state=SlotState.READY,
    since=1000.0,
)


def test_a_model_server_that_stayed_up_was_measured() -> None:
    require_same_engine(MEASURED, [replace(MEASURED, name="slot-other"), MEASURED])


@pytest.mark.parametrize(
    "slots",
    [[], [replace(MEASURED, since=1004.0)], [replace(MEASURED, since=0.0)]],
    ids=["taken away", "started again", "down"],
)
def test_a_model_server_that_ended_meanwhile_is_measured_again(slots: list[Slot]) -> None:
    with pytest.raises(TransientError, match="ended meanwhile"):
        require_same_engine(MEASURED, slots)
