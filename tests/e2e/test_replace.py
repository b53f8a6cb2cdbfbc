"""A site with one GPU, for real: the champion stops while another is tried, and comes back."""

from collections.abc import Iterator

import pytest

from tests.doubles.embedded_platform import MODEL, EmbeddedPlatform

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def one_gpu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPlatform]:
    """One that promotes on a person's word alone, with one model server a model."""
    changes = {"promotion": "manual", "serving": {"strategy": "replace"}}
    platform = EmbeddedPlatform(tmp_path_factory.mktemp("home"), changes)
    try:
        platform.up()
        yield platform
    finally:
        platform.down()


def test_the_champion_is_back_once_its_rival_was_held(one_gpu: EmbeddedPlatform) -> None:
    champion = one_gpu.drop("first", 1, seed=1)
    one_gpu.until_settled([champion])
    promoted = one_gpu.ai_how("promote", champion)
    assert promoted.returncode == 0, promoted.stderr
    rival = one_gpu.drop("first", 2, seed=2)
    one_gpu.until_stage(rival, "quality_report")
    assert one_gpu.slots() == [rival]
    assert one_gpu.until_settled([rival])[rival].state == "held"
    assert one_gpu.slots() == [champion]
    assert (one_gpu.served() or ("", ""))[0] == f"{MODEL}.first.1"
    assert one_gpu.answers()


def test_a_rollback_needs_no_room_beside_the_champion(one_gpu: EmbeddedPlatform) -> None:
    promoted = one_gpu.ai_how("promote", f"{MODEL}.first.2")
    assert promoted.returncode == 0, promoted.stderr
    back = one_gpu.ai_how("rollback", MODEL)
    assert back.returncode == 0, back.stderr
    assert one_gpu.slots() == [f"{MODEL}.first.1"]
    assert one_gpu.answers()
