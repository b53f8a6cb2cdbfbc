"""What the gateway adds to a request: the same requests sent directly and through it, in turns.

`python -m benchmarks.gateway_overhead` prints the medians and 95th percentiles in milliseconds.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from resources.gateway import routes as gateway_routes
from resources.ports import free_ports
from resources.serving import Route

ROUNDS = 1500
WARMUP = 100
BODY = {"model": "m", "messages": [{"role": "user", "content": "word " * 200}], "max_tokens": 8}
UPSTREAM = """
import sys, uvicorn
async def app(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    body = b'{"model":"m","choices":[{"message":{"content":"x"}}]}'
    length = str(len(body)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", length)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", access_log=False, lifespan="off")
"""


def _await(url: str) -> None:
    for _ in range(600):
        try:
            httpx.get(url)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"{url} did not come up")


def _once(client: httpx.Client, url: str, content: bytes) -> float:
    began = time.perf_counter()
    client.post(url, content=content).raise_for_status()
    return (time.perf_counter() - began) * 1000


def _measure(direct: str, through: str) -> dict[str, list[float]]:
    content = json.dumps(BODY).encode()
    taken: dict[str, list[float]] = {"direct": [], "through the gateway": []}
    with httpx.Client() as client:
        for number in range(WARMUP + ROUNDS):
            for name, url in zip(taken, (direct, through), strict=True):
                seconds = _once(client, f"{url}/v1/chat/completions", content)
                if number >= WARMUP:
                    taken[name].append(seconds)
    return taken


def main() -> None:
    ports = [free_ports(1)[0] for _ in range(2)]
    direct, through = (f"http://127.0.0.1:{port}" for port in ports)
    with tempfile.TemporaryDirectory() as directory:
        routes = Path(directory) / "routes.json"
        gateway_routes.put(routes, "m", Route("m.r.1", "d", direct, "served-name"))
        gateway = [*(sys.executable, "-m", "resources.gateway.app"), *("--routes", str(routes))]
        processes = [
            subprocess.Popen([sys.executable, "-c", UPSTREAM, str(ports[0])]),
            subprocess.Popen([*gateway, "--port", str(ports[1])]),
        ]
        try:
            _await(f"{direct}/health")
            _await(f"{through}/health")
            taken = _measure(direct, through)
        finally:
            for process in processes:
                process.kill()
                process.wait()
    for name, values in taken.items():
        p95 = statistics.quantiles(values, n=20)[-1]
        print(f"{name}: p50 {statistics.median(values):.2f} ms, p95 {p95:.2f} ms")
    added = statistics.median(taken["through the gateway"]) - statistics.median(taken["direct"])
    print(f"added by the gateway: {added:.2f} ms (median, {ROUNDS} requests each)")


if __name__ == "__main__":
    main()
