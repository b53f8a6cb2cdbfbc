"""What each runtime is started with, and what its log says about its end."""

import json
import os
import sys
from pathlib import Path

import pytest

from resources.errors import PermanentError
from resources.process_serving import reaper
from resources.process_serving.runtimes import MLX, VLLM, Launch, last_words, tuned


@pytest.fixture
def vllm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    executable = tmp_path / "bin" / "vllm"
    executable.parent.mkdir()
    executable.write_text("#!/bin/sh\n")
    executable.chmod(0o755)
    monkeypatch.setenv("PATH", os.fspath(executable.parent))
    return str(executable)


def _adapter(directory: Path, content: object) -> Path:
    directory.mkdir()
    (directory / "adapter_config.json").write_text(json.dumps(content))
    return directory


def test_mlx_is_asked_for_the_name_that_clients_ask_for() -> None:
    command = MLX.command(Launch("m", Path("/models/x"), 1234))
    assert command[:4] == (sys.executable, "-m", "mlx_lm", "server")
    assert command[command.index("--model") + 1] == "m"


def test_vllm_serves_the_directory_under_the_name(vllm: str) -> None:
    command = VLLM.command(Launch("m", Path("/models/x"), 1234))
    started = command.index(vllm)
    assert command[started + 1 : started + 3] == ("serve", "./m")
    assert command[command.index("--served-model-name") + 1] == "m"


def test_an_engine_of_vllm_does_not_outlive_its_server(vllm: str) -> None:
    command = VLLM.command(Launch("m", Path("/models/x"), 1234))
    assert command[: command.index(vllm)] == (sys.executable, str(Path(reaper.__file__)))


def test_the_environment_of_vllm_outlives_the_title_of_its_engine() -> None:
    """setproctitle writes over it otherwise, and nobody tells whose process it is."""
    assert VLLM.environment["SPT_NOENV"] == "1"


def test_vllm_serves_an_adapter_under_the_name(vllm: str, tmp_path: Path) -> None:
    adapter = _adapter(tmp_path / "adapter", {"r": 12})
    command = VLLM.command(Launch("m", Path("/base"), 1234, adapter=adapter))
    told = {name: command[command.index(name) + 1] for name in command if name.startswith("--")}
    assert (told["--lora-modules"], told["--max-lora-rank"], told["--served-model-name"]) == (
        f"m={adapter}",
        "16",
        "m-base",
    )


@pytest.mark.parametrize("content", [{}, {"r": "many"}, {"r": 1000}, []])
def test_an_adapter_without_a_usable_rank_is_refused(
    vllm: str, tmp_path: Path, content: object
) -> None:
    adapter = _adapter(tmp_path / "adapter", content)
    with pytest.raises(PermanentError, match="adapter"):
        VLLM.command(Launch("m", Path("/base"), 1234, adapter=adapter))


def test_a_missing_vllm_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PermanentError, match="no `vllm`"):
        VLLM.command(Launch("m", Path("/models/x"), 1234))


def test_the_last_words_begin_with_the_exception() -> None:
    lines = ("Traceback", "ValueError: too small", *(f"later {n}" for n in range(9)))
    assert last_words(lines, MLX.noise).splitlines()[0] == "ValueError: too small"


def test_the_cause_comes_before_its_report_by_another_process() -> None:
    """As vLLM 0.32 words it when two servers want the same memory."""
    words = last_words(
        (
            "(Worker-0 pid=7) ERROR 11-24 12:20:53 [executor.py:953] ValueError: too little memory",
            "(EngineCore pid=6) RuntimeError: Engine core initialization failed.",
            "RuntimeError: See root cause above.",
        ),
        VLLM.noise,
    )
    assert words.splitlines() == [
        "ValueError: too little memory",
        "RuntimeError: See root cause above.",
        "RuntimeError: Engine core initialization failed.",
    ]


def test_what_vllm_knows_is_cut_and_its_frames_are_left_out() -> None:
    words = last_words(
        (
            "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig",
            '  File "/site/vllm/engine.py", line 12, in launch',
            "    raise RuntimeError(",
            "  Value error, Model architectures ['X'] are not supported: " + "'Afmoe', " * 300,
            "    For further information visit https://errors.pydantic.dev",
        ),
        VLLM.noise,
    )
    first, second = words.splitlines()
    assert first.endswith("1 validation error for ModelConfig")
    assert (second[:53], len(second)) == (
        "  Value error, Model architectures ['X'] are not suppo"[:53], 400
    )  # fmt: skip


def test_a_site_adds_arguments_and_the_share_of_the_gpu() -> None:
    runtimes = tuned(["--max-model-len", "8192"], 0.3)
    assert runtimes["mlx"].arguments == ("--max-model-len", "8192")
    assert runtimes["vllm"].arguments == (
        *("--gpu-memory-utilization", "0.30"),
        *("--max-model-len", "8192"),
    )


def test_the_access_log_is_no_last_word() -> None:
    assert (
        last_words(('127.0.0.1 - "GET /health HTTP/1.1" 200 -',), MLX.noise) == "its log is empty"
    )
