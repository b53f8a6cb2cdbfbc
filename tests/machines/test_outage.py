"""What is asked of a libvirtd that starts anew; a real one is killed on QEMU."""

from collections.abc import Callable, Iterator

import pytest

from cloud_assets.machines.applying import outage
from resources.errors import AiHowError, NeedsRepair, TransientError
from resources.libvirt import NotListening

LOST = TransientError("libvirt", "look", "Connection reset by peer")
AWAY = NotListening("libvirt", "open", "No such file or directory")


def failing(*errors: AiHowError) -> Callable[[], str]:
    """Fails so, one time after the other, and then answers."""
    left: Iterator[AiHowError] = iter(errors)

    def ask() -> str:
        for each in left:
            raise each
        return "answer"

    return ask


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "_POLL_SECONDS", 0.0)


def test_it_is_asked_until_it_answers() -> None:
    assert outage.outlasting(failing(LOST, AWAY, AWAY)) == "answer"


def test_what_it_refuses_is_not_asked_again() -> None:
    with pytest.raises(NeedsRepair, match="no right"):
        outage.outlasting(failing(NeedsRepair("libvirt", "look", "no right")))


def test_it_ends_with_the_reason_where_it_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "_PATIENCE_SECONDS", 0.0)
    with pytest.raises(TransientError, match="reset by peer"):
        outage.outlasting(failing(LOST, LOST))
