"""What `ai-how ask` sends to the endpoint, against a real server on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud_assets.cli.commands.endpoints import ask
from tests.doubles.loopback import Exchange, LoopbackServer

pytestmark = pytest.mark.real

STREAM = b'data: {"model": "m", "choices": [{"delta": {"content": "Paris"}, "text": "Paris"}]}\n\n'


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The paths that an endpoint was asked at."""
    paths: list[str] = []

    class Endpoint(Exchange):
        def do_POST(self) -> None:
            self.body()
            paths.append(self.path)
            self.answer(STREAM + b"data: [DONE]\n\n", {"Content-Type": "text/event-stream"})

    with LoopbackServer(Endpoint) as server:
        file = tmp_path / "cluster.yaml"
        file.write_text(f"platform: {{ports: {{gateway: {server.port}}}}}\n", "utf-8")
        monkeypatch.setenv("AI_HOW_CLUSTER", str(file))
        yield paths


def test_a_prompt_is_a_message_of_a_chat(
    asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    ask("m", "What is the capital of France?", max_tokens=4, plain=False)
    assert asked == ["/v1/chat/completions"]
    assert capsys.readouterr().out == "Paris\n"


def test_a_plain_prompt_is_a_text_to_go_on_with(asked: list[str]) -> None:
    ask("m", "The capital of France is", max_tokens=4, plain=True)
    assert asked == ["/v1/completions"]
