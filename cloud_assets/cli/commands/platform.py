"""`up`, `down`, `status` and `logs`: the embedded platform's programs under supervisord."""

import shutil
import socket
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from cloud_assets.cli import output
from cloud_assets.cli.programs import make_instance, programs, write_dagster_files
from cloud_assets.settings import TEMPORARY, Settings
from cloud_assets.settings_file import load_clusters, load_settings
from resources.errors import PermanentError, TransientError
from resources.supervisor import ProgramState, Supervisor, sweep

#: Generous, since a program that fails ends the wait: a loaded machine needs minutes for MLflow.
READY_SECONDS = 300
SLOT_PREFIX = "slot-"


def up() -> None:
    settings = load_settings()
    # The graph has them: a mistake is told here, with its line, and not by a program's log.
    load_clusters()
    start(settings, output.note)
    output.note("")
    for name, address in addresses(settings).items():
        output.note(f"  {name:<9} {address}")


def start(settings: Settings, say: Callable[[str], None]) -> None:
    """Have every program run and answer. Raises PermanentError when one cannot."""
    supervisor = Supervisor(settings.home)
    if not supervisor.is_running():
        # What a killed supervisord left behind holds the ports.
        sweep(settings.home)
        _require_free_ports(settings)
    everything = programs(settings, supervisor)
    (settings.home / "mlflow").mkdir(parents=True, exist_ok=True)
    if not supervisor.is_running():
        shutil.rmtree(settings.home / TEMPORARY, ignore_errors=True)
        # MLflow takes longest; what needs no Dagster instance starts while that is made.
        supervisor.start([p for p in everything if p.name in ("gateway", "mlflow")])
    make_instance(settings)
    write_dagster_files(settings, supervisor)
    supervisor.start(everything, keep=SLOT_PREFIX)
    _wait(settings, supervisor, say)


def down() -> None:
    settings = load_settings()
    Supervisor(settings.home).shutdown()
    output.note("the platform is down")


def addresses(settings: Settings) -> Mapping[str, str]:
    return {
        "dagster": settings.dagster_url,
        "mlflow": settings.registry_url,
        "endpoint": f"{settings.gateway_url}/v1",
    }


def status(*, as_json: bool) -> None:
    settings = load_settings()
    supervisor = Supervisor(settings.home)
    up_now = supervisor.is_running()
    found = [_row(program, settings) for program in supervisor.programs()] if up_now else []
    if not found and not as_json:
        output.note("the platform is down; `ai-how up` starts it")
        return
    output.records(("program", "state", "since", "pid", "address"), found, as_json=as_json)


def logs(program: str, lines: int) -> None:
    supervisor = Supervisor(load_settings().home)
    if program not in supervisor.configured():
        raise PermanentError(
            "supervisord", f"find `{program}`", "no program has that name",
            hint="`ai-how status` lists the names",
        )  # fmt: skip
    for line in supervisor.tail(program, lines):
        output.line(line)


def _row(program: ProgramState, settings: Settings) -> dict[str, Any]:
    return {
        "program": program.name,
        "state": program.state.lower(),
        "since": datetime.fromtimestamp(program.since, UTC) if program.since else None,
        "pid": program.pid or None,
        "address": {**addresses(settings), "gateway": settings.gateway_url}.get(program.name),
        "log": str(program.log),
    }


def _require_free_ports(settings: Settings) -> None:
    for name, port in settings.ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise PermanentError(
                    "the platform", f"open port {port} for {name}", str(error.strerror),
                    hint=f"end what uses it, or set platform.ports.{name} in cluster.yaml",
                ) from error  # fmt: skip


def _wait(settings: Settings, supervisor: Supervisor, say: Callable[[str], None]) -> None:
    """Until each program answers, naming each as it comes up."""
    probes = {
        "gateway": f"{settings.gateway_url}/health",
        "mlflow": f"{settings.registry_url}/health",
        "dagster": f"{settings.dagster_url}/server_info",
    }
    started = time.monotonic()
    while probes:
        for name, url in list(probes.items()):
            if _answers(url):
                say(f"{name} is up after {time.monotonic() - started:.1f} s")
                del probes[name]
        _require_alive(supervisor)
        if probes and time.monotonic() - started > READY_SECONDS:
            raise TransientError(
                "the platform", f"start {', '.join(probes)}", f"no answer in {READY_SECONDS} s",
                hint=f"ai-how logs {next(iter(probes))}",
            )  # fmt: skip
        if probes:
            time.sleep(0.1)


def _answers(url: str) -> bool:
    import httpx

    try:
        return httpx.get(url, timeout=2).is_success
    except httpx.HTTPError:
        return False


def _require_alive(supervisor: Supervisor) -> None:
    for program in supervisor.programs():
        if program.state == "FATAL" and not program.name.startswith(SLOT_PREFIX):
            last = "; ".join(supervisor.tail(program.name, 3))
            raise PermanentError(
                "the platform", f"start {program.name}", last or program.spawn_error,
                hint=f"ai-how logs {program.name}",
            )  # fmt: skip
