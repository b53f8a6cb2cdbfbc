"""Going down in the middle of everything, and coming up again as if nothing had been."""

import socket

import pytest

from resources.errors import PermanentError
from tests.doubles.embedded_platform import EmbeddedPlatform

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def test_down_in_the_middle_leaves_no_process_and_says_nothing_of_it(
    platform: EmbeddedPlatform,
) -> None:
    key = platform.drop("middle", seed=1)
    platform.drop("behind", seed=2)
    platform.until_stage(key, "benchmark_report")
    ended = platform.ai_how("down")
    assert ended.returncode == 0
    assert ended.stderr.splitlines() == ["the platform is down"]
    assert platform.processes() == []


def test_after_up_again_the_newest_of_what_was_under_way_serves(
    platform: EmbeddedPlatform,
) -> None:
    """The interrupted one may come to its release second, and then leaves its successor alone."""
    platform.up()
    keys = ["capitals.middle.1", "capitals.behind.1"]
    interrupted, behind = keys
    found = platform.until_settled(keys)
    assert found[behind].state == "serving"
    assert found[interrupted].state in {"promoted", "held"}
    assert [len(platform.versions(key)) for key in keys] == [1, 1]
    assert [len(platform.releases(key)) for key in keys] == [1, 1]
    assert platform.answers()


def test_up_beside_a_taken_port_names_it_with_the_fix_and_starts_nothing(
    fresh: EmbeddedPlatform,
) -> None:
    port = fresh.settings.ports.mlflow
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(PermanentError, match=f"open port {port} for mlflow") as caught:
            fresh.up()
        assert "platform.ports.mlflow" in (caught.value.hint or "")
        assert fresh.processes() == []
