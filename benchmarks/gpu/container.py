"""The container that KServe would run for the `vllm` runtime, started as a process, several times.

`python -m benchmarks.gpu.container CHECKPOINT [CHECKPOINT…]`: one start each, all at the same path
and with the same caches, which are empty at first. Prints the seconds until the probe and a first
completion are answered, and how the server ends while a request is under way.
"""

import argparse
import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.gpu import nvidia
from resources.errors import TransientError
from resources.kserve import RuntimeImage, Site
from resources.kserve.manifests import inference_service
from resources.kserve.runtimes import CACHE, MODELS, serving_runtimes
from resources.openai import readiness
from resources.openai.client import OpenAIClient
from resources.serving import Servable

NAME = "qa"
SERVABLE = Servable("qa.run.1", NAME, "a" * 64, "s3://models/checkpoints/qa.run.1/f/model", "vllm")


@dataclass(frozen=True)
class Container:
    """What a kubelet would start and probe."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    probe: Mapping[str, Any]

    @property
    def url(self) -> str:
        # Not 127.0.0.1: a server that listens there alone is out of a kubelet's reach.
        return f"http://127.0.0.2:{self.probe['port']}"


def rendered(arguments: Sequence[str], *, models: Path, cache: Path) -> Container:
    """The container of a checkpoint as KServe merges it, with our directories for its volumes."""
    image = RuntimeImage("vllm", "vllm", gpus=1, arguments=tuple(arguments))
    site = Site("models", {"vllm": image})
    [runtime] = serving_runtimes(site)
    [container] = runtime["spec"]["containers"]
    more = inference_service(SERVABLE, site)["spec"]["predictor"]["model"]["args"]
    command = (*container["command"], *container["args"], *more)

    def placed(text: str) -> str:
        for prefix, place in ((MODELS, models), (CACHE, cache)):
            if text == prefix or text.startswith(f"{prefix}/"):
                return f"{place}{text.removeprefix(prefix)}"
        return text

    return Container(
        command=tuple(map(placed, command)),
        environment={each["name"]: placed(each["value"]) for each in container["env"]},
        probe=container["startupProbe"]["httpGet"],
    )


def start(container: Container, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            container.command,
            env={**os.environ, **container.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def until_ready(container: Container, server: subprocess.Popen[bytes], log: Path) -> float:
    """The seconds until the probe is answered."""
    began = time.monotonic()
    while server.poll() is None:
        if readiness.health(container.url, container.probe["path"], timeout_seconds=1) == 200:
            return time.monotonic() - began
        time.sleep(0.05)
    raise SystemExit(f"it ended: {log.read_text('utf-8', 'replace')[-3000:]}")


def first_completion(container: Container) -> float:
    began = time.monotonic()
    while True:
        try:
            readiness.complete(container.url, NAME, timeout_seconds=30)
        except TransientError:
            time.sleep(0.05)
        else:
            return time.monotonic() - began


def ended_under_way(container: Container, server: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Tell the server to end while a request is under way; what becomes of both."""
    family = psutil.Process(server.pid).children(recursive=True)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(long_request, container.url, 2000)
        time.sleep(1)
        began = time.monotonic()
        server.send_signal(signal.SIGTERM)
        status = server.wait(120)
        seconds = time.monotonic() - began
        answer = asked.result()
    _, left = psutil.wait_procs(family, 5)
    return {
        "request": answer,
        "end_seconds": round(seconds, 1),
        "status": status,
        "processes_left": len(left),
        "gpu_mib_left": nvidia.memory_mib(),
    }


def long_request(url: str, tokens: int) -> str:
    """How a request of so many tokens ended: its finish reason and length, or its error."""
    host = url.removeprefix("http://")
    body = {"model": NAME, "prompt": "a", "max_tokens": tokens, "ignore_eos": True}
    connection = http.client.HTTPConnection(host, timeout=120)
    try:
        kind = {"Content-Type": "application/json"}
        connection.request("POST", "/v1/completions", json.dumps(body), kind)
        answer = json.loads(connection.getresponse().read())
        return f"{answer['choices'][0]['finish_reason']} {answer['usage']['completion_tokens']}"
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()


def measured(container: Container, log: Path) -> dict[str, Any]:
    before = nvidia.memory_mib()
    server = start(container, log)
    try:
        ready = until_ready(container, server, log)
        first = first_completion(container)
        with OpenAIClient(container.url) as client:
            models = client.models()
        return {
            "ready_seconds": round(ready, 1),
            "first_completion_seconds": round(first, 2),
            "models": models,
            "gpu_mib": nvidia.memory_mib() - before,
            **ended_under_way(container, server),
        }
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def require_free(port: int) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.2", port)) == 0:
            raise SystemExit(f"port {port} is taken, and the container's cannot be another")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--argument", action="append", default=[], help="one more for the server")
    parser.add_argument("--log", type=Path, default=Path("container.log"))
    options = parser.parse_args()
    print(nvidia.name())
    with tempfile.TemporaryDirectory() as directory:
        models, cache = Path(directory, "models"), Path(directory, "cache")
        cache.mkdir()
        container = rendered(options.argument, models=models, cache=cache)
        require_free(container.probe["port"])
        print(" ".join(container.command))
        for checkpoint in options.checkpoints:
            models.unlink(missing_ok=True)
            models.symlink_to(checkpoint.resolve(), target_is_directory=True)
            print(json.dumps({"checkpoint": str(checkpoint), **measured(container, options.log)}))


if __name__ == "__main__":
    main()
