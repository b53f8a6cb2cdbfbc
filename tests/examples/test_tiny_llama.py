"""Random checkpoints: what is in them, and that a real server takes them as they are."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from safetensors import safe_open

from examples import tiny_llama


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    directory = tmp_path / "checkpoint-3"
    tiny_llama.write_checkpoint(directory, seed=0, step=3)
    return directory


@pytest.mark.parametrize("text", ["", "\n\n  ", "Zürich 東京 🗼", "N'Djamena", "\x00\x7f"])
def test_any_text_survives_the_tokenizer(text: str) -> None:
    tokenizer = tiny_llama.tokenizer()
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_every_token_has_an_embedding() -> None:
    assert tiny_llama.tokenizer().get_vocab_size() == tiny_llama.VOCABULARY


def test_the_same_seed_gives_the_same_weights(checkpoint: Path, tmp_path: Path) -> None:
    again, other = tmp_path / "again", tmp_path / "other"
    tiny_llama.write_checkpoint(again, seed=0, step=9)
    tiny_llama.write_checkpoint(other, seed=1, step=3)
    first = (checkpoint / "model.safetensors").read_bytes()
    assert (again / "model.safetensors").read_bytes() == first
    assert (other / "model.safetensors").read_bytes() != first


def test_the_state_names_the_step(checkpoint: Path) -> None:
    assert json.loads((checkpoint / "trainer_state.json").read_text())["global_step"] == 3


def test_an_adapter_names_its_base_and_holds_pairs(tmp_path: Path) -> None:
    directory = tmp_path / "checkpoint-4"
    tiny_llama.write_lora_checkpoint(directory, base="/models/base", seed=0, step=4)
    config = json.loads((directory / "adapter_config.json").read_text())
    assert (config["peft_type"], config["base_model_name_or_path"]) == ("LORA", "/models/base")
    with safe_open(directory / "adapter_model.safetensors", "numpy") as tensors:
        sides = [name.split(".")[-2] for name in tensors.keys()]  # noqa: SIM118
    assert sides.count("lora_A") == sides.count("lora_B") == 4


@pytest.mark.real
def test_a_real_server_answers_completions_and_chat_in_whole_and_in_a_stream(
    checkpoint: Path, serve: Callable[[Path], httpx.Client]
) -> None:
    client = serve(checkpoint)
    ask = {"model": "served", "max_tokens": 4, "temperature": 0}
    chat = ask | {"messages": [{"role": "user", "content": "What is the capital of Mali?"}]}
    plain = ask | {"prompt": tiny_llama.prompt_for("What is the capital of Mali?")}
    for path, body in {"/v1/chat/completions": chat, "/v1/completions": plain}.items():
        whole = client.post(path, json=body).raise_for_status().json()
        assert whole["model"] == "served"
        # The chat template and `prompt_for` make the same text.
        assert whole["usage"]["prompt_tokens"] == len(
            tiny_llama.tokenizer().encode(plain["prompt"]).ids
        )
        streamed = client.post(path, json=body | {"stream": True}).raise_for_status().text
        assert streamed.rstrip().endswith("data: [DONE]")
