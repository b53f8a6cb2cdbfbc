"""The model servers that can be run as processes: one entry of the table each.

An entry says how its server is started and asked; when to do so is `process_serving`'s business.
"""

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from resources.errors import NeedsRepair, PermanentError


@dataclass(frozen=True)
class Launch:
    """One start of a server: the name to answer under, the files, the loopback port.

    `directory` is the model, or the base model where `adapter` names a PEFT adapter.
    """

    name: str
    directory: Path
    port: int
    adapter: Path | None = None


@dataclass(frozen=True)
class Runtime:
    """How one kind of model server is run.

    The server's working directory holds a symbolic link with the model's name to its directory.
    `noise` matches the lines of its log that say nothing about a failure. `share_option` is how the
    server is told its share of the GPU's memory. A server that ends within `startsecs` seconds
    counts as one that could not start.
    """

    name: str
    command: Callable[[Launch], tuple[str, ...]]
    environment: Mapping[str, str]
    noise: re.Pattern[str]
    takes_adapters: bool = False
    health_path: str = "/health"
    share_option: str | None = None
    arguments: tuple[str, ...] = ()
    startsecs: int = 10
    stopwaitsecs: int = 10


# One thread a server: with the default, servers that share two cores are 17 times slower
# (`transformers serve`, 270-376 against 22 CPU-ms a request).
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "PYTHONUNBUFFERED": "1",
    # The working directory holds a checkpoint, whose files must never be imported.
    "PYTHONSAFEPATH": "1",
}
# `(EngineCore pid=7) ERROR 11-24 12:20:53 [core.py:95] ` in vLLM's log.
_PREFIX = re.compile(r"^\([\w-]+ pid=\d+\) (?:[A-Z]+ [\d-]+ [\d:]+ \[[\w.]+:\d+\] )?")
_ACCESS_LOG = re.compile(r'"(GET|POST|OPTIONS) /|UserWarning|warnings\.warn|Starting httpd')


# The engine is a process of its own, which must not outlive the API server.
_REAPED = (sys.executable, os.fspath(Path(__file__).with_name("reaper.py")))
# What requests under way are given when a server is to end; by default vLLM cuts them off.
_UNDER_WAY_SECONDS = "20"
# A fork shares what is imported, 17 to 28 s of every start; vLLM spawns anew where it could not
# fork. FlashInfer's sampler would be compiled for 113 s at the first start, Triton's for 9 s.
_VLLM_ENVIRONMENT = {
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_WORKER_MULTIPROC_METHOD": "fork",
    "VLLM_USE_FLASHINFER_SAMPLER": "0",
    # Else a start compiles its kernels into a place that no start from vLLM's cache looks into.
    "TRITON_CACHE_DIR": os.environ.get("TRITON_CACHE_DIR") or os.path.expanduser("~/.triton/cache"),
    # The engine's title would be written over its environment, by which a home's processes are
    # found (setproctitle).
    "SPT_NOENV": "1",
}


def _mlx_command(launch: Launch) -> tuple[str, ...]:
    """mlx_lm.server loads another model whenever a request's `model` is not its `--model`.

    So the relative name of the link is what both say. It answers any origin by default.
    """
    return (
        *(sys.executable, "-m", "mlx_lm", "server"),
        *("--host", "127.0.0.1", "--port", str(launch.port)),
        *("--model", launch.name, "--allowed-origins", "http://127.0.0.1"),
    )


def _vllm_command(launch: Launch) -> tuple[str, ...]:
    beside = os.fspath(Path(sys.executable).parent)
    executable = shutil.which("vllm", path=os.pathsep.join([beside, os.environ.get("PATH", "")]))
    if executable is None:
        raise NeedsRepair(
            "vllm", "start", "there is no `vllm` beside this Python or on PATH",
            hint="install vllm, or set `serving.runtime: mlx`",
        )  # fmt: skip
    # The link, since vLLM keeps what it compiles by the model's path: checkpoints share it so.
    model = os.path.join(os.curdir, launch.name)
    command = (*_REAPED, executable, "serve", model, "--shutdown-timeout", _UNDER_WAY_SECONDS)
    address = ("--host", "127.0.0.1", "--port", str(launch.port))
    if launch.adapter is None:
        return (*command, *address, "--served-model-name", launch.name)
    return (
        *(*command, *address, "--served-model-name", f"{launch.name}-base", "--enable-lora"),
        *("--lora-modules", f"{launch.name}={launch.adapter}"),
        *("--max-lora-rank", str(_lora_rank(launch.adapter))),
    )


def _lora_rank(adapter: Path) -> int:
    """The smallest of vLLM's allowed ranks (vllm.config.lora, 0.24) that holds the adapter's."""
    try:
        settings: Any = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
        rank = int(settings["r"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PermanentError("vllm", f"read the adapter {adapter}", str(error)) from error
    allowed = (8, 16, 32, 64, 128, 256, 320, 512)
    fitting = [size for size in allowed if size >= rank]
    if not fitting:
        raise PermanentError("vllm", f"serve the adapter {adapter}", f"rank {rank} is above 512")
    return fitting[0]


MLX = Runtime(
    name="mlx",
    command=_mlx_command,
    environment=MappingProxyType(_ENVIRONMENT),
    noise=_ACCESS_LOG,
)
VLLM = Runtime(
    name="vllm",
    command=_vllm_command,
    environment=MappingProxyType(_ENVIRONMENT | _VLLM_ENVIRONMENT),
    noise=_ACCESS_LOG,
    takes_adapters=True,
    share_option="--gpu-memory-utilization",
    startsecs=60,
    stopwaitsecs=30,
)
RUNTIMES: Mapping[str, Runtime] = MappingProxyType({"mlx": MLX, "vllm": VLLM})


def tuned(arguments: Sequence[str], memory_share: float) -> Mapping[str, Runtime]:
    """The table with what a site adds: arguments of the servers, the share of the GPU of each."""
    return MappingProxyType(
        {
            name: replace(runtime, arguments=(*_share(runtime, memory_share), *arguments))
            for name, runtime in RUNTIMES.items()
        }
    )


def _share(runtime: Runtime, memory_share: float) -> tuple[str, ...]:
    return (runtime.share_option, f"{memory_share:.2f}") if runtime.share_option else ()


# A frame of a traceback, its code and its marks; but also what pydantic adds to a sentence.
_FRAME = re.compile(r'^(  File "|    )')
_LONGEST_LINE = 400


def last_words(lines: tuple[str, ...], noise: re.Pattern[str]) -> str:
    """What a log says about an end: its first exception, its last, then the last five lines.

    The first is the cause where one process of a server reports the end of another. Lines are cut:
    vLLM lists every architecture it knows when it does not know one.
    """
    plain = [_PREFIX.sub("", line) for line in lines if line.strip() and not noise.search(line)]
    telling = [line[:_LONGEST_LINE] for line in plain if not _FRAME.match(line)]
    exceptions = [line for line in telling if re.match(r"^[\w.]*(Error|Exception)\b", line)]
    if not telling:
        return "its log is empty"
    return "\n".join(dict.fromkeys([*exceptions[:1], *exceptions[-1:], *telling[-5:]]))
