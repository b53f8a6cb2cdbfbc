"""The embedded backend with real processes: a small real server, and mlx_lm for what is mlx's."""

import json
import os
import re
import signal
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from examples import tiny_llama
from resources.errors import DeadlineExceeded, NeedsRepair, PermanentError, TransientError
from resources.openai import readiness
from resources.ports import free_ports
from resources.process_serving import ProcessServing, slot_program
from resources.process_serving.runtimes import MLX, Launch, Runtime
from resources.serving import Servable, Served, SlotState
from resources.supervisor import MARKER, Program, Supervisor, processes
from tests.resources.serving_contract import ServingContract, route_to

pytestmark = pytest.mark.real
Eventually = Callable[[Callable[[], object]], None]

SERVER = Path(__file__).parent / "tiny_server.py"


def _tiny_command(launch: Launch) -> tuple[str, ...]:
    return (sys.executable, str(SERVER), "--model", launch.name, "--port", str(launch.port))


TINY = Runtime(
    name="tiny", command=_tiny_command, environment={}, noise=re.compile(r'"(GET|POST) /')
)


def _model(directory: Path, **behaviour: object) -> str:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "behaviour.json").write_text(json.dumps(behaviour))
    return directory.as_uri() + "/"


def _servable(location: str, **changes: str) -> Servable:
    first = Servable("m.run.1", "m", "a" * 64, location, "tiny")
    return replace(first, **changes)


@pytest.fixture
def backend(home: Path, supervisor: Supervisor) -> ProcessServing:
    return ProcessServing(home, supervisor=supervisor, runtimes={"tiny": TINY, "mlx": MLX})


@pytest.fixture
def servable(tmp_path: Path) -> Servable:
    return _servable(_model(tmp_path / "published one"))


@pytest.fixture
def timeout_seconds() -> float:
    return 60


class TestContract(ServingContract):
    @pytest.fixture
    def broken(self, tmp_path: Path) -> tuple[Servable, str]:
        location = _model(tmp_path / "broken", refuse="shape (3,) does not fit")
        return _servable(location), r"ValueError: shape \(3,\) does not fit"


def _kill(supervisor: Supervisor, served: Served) -> int:
    [pid] = [it.pid for it in supervisor.programs() if it.name == served.slot.name]
    os.kill(pid, signal.SIGKILL)
    return pid


def test_a_killed_server_comes_back_on_the_same_address(
    backend: ProcessServing, supervisor: Supervisor, servable: Servable, eventually: Eventually
) -> None:
    served = backend.serve(servable, timeout_seconds=60)
    pid = _kill(supervisor, served)
    eventually(lambda: backend.slots() == (served.slot,) and supervisor.programs()[0].pid != pid)
    readiness.complete(served.slot.url, "m", timeout_seconds=10)


def test_a_server_that_is_down_is_not_called_ready(
    backend: ProcessServing, supervisor: Supervisor, servable: Servable
) -> None:
    served = backend.serve(servable, timeout_seconds=60)
    _kill(supervisor, served)
    assert backend.slots()[0].state is SlotState.STARTING


def test_slots_survive_a_killed_supervisor(
    backend: ProcessServing,
    supervisor: Supervisor,
    servable: Servable,
    home: Path,
    eventually: Eventually,
) -> None:
    served = backend.serve(servable, timeout_seconds=60)
    os.kill(int(supervisor.files.pid.read_text()), signal.SIGKILL)
    eventually(lambda: not supervisor.is_running())
    supervisor.start(())
    eventually(lambda: backend.slots() == (served.slot,))
    assert len(processes.marked(MARKER, str(home.resolve()))) == 2


def test_without_a_supervisor_serving_may_be_retried(home: Path, servable: Servable) -> None:
    backend = ProcessServing(home, runtimes={"tiny": TINY})
    with pytest.raises(TransientError, match="supervisord"):
        backend.serve(servable, timeout_seconds=5)


def test_a_start_that_was_cut_off_is_taken_up(
    backend: ProcessServing, supervisor: Supervisor, servable: Servable, home: Path
) -> None:
    record = slot_program.SlotRecord(servable, free_ports(1)[0])
    directory = home / "slots" / record.name
    directory.mkdir(parents=True)
    (directory / "m").symlink_to(Path(servable.location.removeprefix("file://")))
    launch = Launch("m", directory / "m", record.port)
    supervisor.add(slot_program.program(record, TINY, launch, directory=directory))
    assert backend.serve(servable, timeout_seconds=60).slot.url == record.url


def test_a_taken_port_is_given_up_for_another(
    backend: ProcessServing, servable: Servable, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        ports = iter([taken, free_ports(1)[0]])
        monkeypatch.setattr(
            "resources.process_serving.backend.free_ports", lambda count: [next(ports)]
        )
        served = backend.serve(servable, timeout_seconds=60)
    assert (served.slot.state, taken in (served.slot.url,)) == (SlotState.READY, False)


def test_a_stranger_on_the_port_is_not_taken_for_the_slot(
    backend: ProcessServing, supervisor: Supervisor, servable: Servable, home: Path
) -> None:
    first = backend.serve(servable, timeout_seconds=60)
    port = int(first.slot.url.rpartition(":")[2])
    other = slot_program.SlotRecord(replace(servable, digest="b" * 64), port)
    program = slot_program.program(other, TINY, Launch("m", home, port), directory=home)
    supervisor.add(replace(program, command=("sleep", "600"), startsecs=0))
    [slot] = [it for it in backend.slots() if it.name == other.name]
    assert (slot.state, slot.reason) == (
        SlotState.FAILED,
        f"another program listens on port {port}",
    )


def test_a_server_killed_while_it_starts_is_given_another_start(
    backend: ProcessServing, supervisor: Supervisor, tmp_path: Path, eventually: Eventually
) -> None:
    servable = _servable(_model(tmp_path / "slow", slow=1.0))
    with ThreadPoolExecutor(1) as pool:
        serving = pool.submit(backend.serve, servable, timeout_seconds=60)
        eventually(lambda: any(it.is_up for it in supervisor.programs()))
        os.kill(supervisor.programs()[0].pid, signal.SIGKILL)
        assert serving.result().slot.state is SlotState.READY


def test_a_wrong_model_name_is_no_answer(backend: ProcessServing, tmp_path: Path) -> None:
    location = _model(tmp_path / "other", name="somebody else")
    with pytest.raises(PermanentError, match="somebody else"):
        backend.serve(_servable(location), timeout_seconds=60)


def test_a_server_that_never_answers_is_told_at_the_deadline_and_not_tried_again_at_once(
    backend: ProcessServing, tmp_path: Path
) -> None:
    location = _model(tmp_path / "mute", mute=True)
    with pytest.raises(DeadlineExceeded, match="answer in time"):
        backend.serve(_servable(location), timeout_seconds=3)


def test_a_slot_that_timed_out_is_taken_away(backend: ProcessServing, tmp_path: Path) -> None:
    location = _model(tmp_path / "mute", mute=True)
    with pytest.raises(DeadlineExceeded):
        backend.serve(_servable(location), timeout_seconds=3)
    assert backend.slots() == ()


def test_a_missing_directory_is_named(backend: ProcessServing, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="no such directory"):
        backend.serve(_servable((tmp_path / "gone").as_uri()), timeout_seconds=5)


@pytest.mark.parametrize("name", ["../m", "a/b", "-m", ""])
def test_a_name_that_is_no_file_name_is_refused(
    backend: ProcessServing, servable: Servable, name: str
) -> None:
    with pytest.raises(PermanentError, match="characters"):
        backend.serve(replace(servable, name=name), timeout_seconds=5)


def test_a_remote_location_is_fetched_once(
    home: Path, supervisor: Supervisor, tmp_path: Path
) -> None:
    fetched: list[str] = []

    def fetch(location: str, directory: Path) -> None:
        fetched.append(location)
        (directory / "behaviour.json").write_text("{}")

    backend = ProcessServing(home, supervisor=supervisor, runtimes={"tiny": TINY}, fetch=fetch)
    servable = _servable("s3://bucket/checkpoints/m/")
    backend.serve(servable, timeout_seconds=60)
    backend.serve(replace(servable, digest="b" * 64), timeout_seconds=60)
    assert fetched == [servable.location]


def test_what_was_fetched_goes_with_its_last_slot(home: Path, supervisor: Supervisor) -> None:
    def fetch(location: str, directory: Path) -> None:
        (directory / "behaviour.json").write_text("{}")

    backend = ProcessServing(home, supervisor=supervisor, runtimes={"tiny": TINY}, fetch=fetch)
    served = backend.serve(_servable("s3://bucket/m/"), timeout_seconds=60)
    backend.release(served.slot.name)
    assert list((home / "cache").iterdir()) == []


def test_an_adapter_is_refused_plainly_by_mlx(backend: ProcessServing, tmp_path: Path) -> None:
    location = _model(tmp_path / "adapter")
    servable = _servable(location, runtime="mlx", adapter_of="org/base")
    with pytest.raises(PermanentError, match="PEFT adapter"):
        backend.serve(servable, timeout_seconds=5)


def test_an_adapter_over_a_base_that_nobody_located_waits_for_the_setting(
    home: Path, supervisor: Supervisor, tmp_path: Path
) -> None:
    backend = ProcessServing(home, supervisor=supervisor)
    servable = _servable(_model(tmp_path / "adapter"), runtime="vllm", adapter_of="org/base")
    with pytest.raises(NeedsRepair, match="`org/base`") as refused:
        backend.serve(servable, timeout_seconds=5)
    assert "serving.base_models" in str(refused.value.hint)


def test_mlx_serves_a_checkpoint_under_its_name(backend: ProcessServing, tmp_path: Path) -> None:
    tiny_llama.write_checkpoint(tmp_path / "checkpoint-1", seed=1, step=1)
    servable = _servable((tmp_path / "checkpoint-1").as_uri() + "/", runtime="mlx")
    served = backend.serve(servable, timeout_seconds=90)
    assert (served.slot.state, set(served.phases)) == (
        SlotState.READY,
        {"spawn", "health", "first_completion"},
    )


def test_an_endpoint_on_mlx_survives_a_kill(
    backend: ProcessServing,
    supervisor: Supervisor,
    tmp_path: Path,
    home: Path,
    eventually: Eventually,
) -> None:
    tiny_llama.write_checkpoint(tmp_path / "checkpoint-1", seed=1, step=1)
    servable = _servable((tmp_path / "checkpoint-1").as_uri() + "/", runtime="mlx")
    served = backend.serve(servable, timeout_seconds=90)
    backend.route("m", route_to(served))
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    supervisor.add(_gateway(home, url))
    eventually(lambda: _answers(url))
    _kill(supervisor, served)
    eventually(lambda: not _answers(url))
    eventually(lambda: _answers(url))
    assert backend.slots() == (served.slot,)


def _gateway(home: Path, url: str) -> Program:
    routes = str(home / "gateway" / "routes.json")
    command = (sys.executable, "-m", "resources.gateway.app", "--routes", routes)
    return Program("gateway", (*command, "--port", url.rpartition(":")[2]), home)


def _answers(url: str) -> bool:
    try:
        readiness.complete(url, "m", timeout_seconds=5)
    except TransientError:
        return False
    return True


def test_mlx_tells_why_spoilt_weights_cannot_be_loaded(
    backend: ProcessServing, tmp_path: Path
) -> None:
    tiny_llama.write_checkpoint(tmp_path / "checkpoint-1", seed=1, step=1)
    (tmp_path / "checkpoint-1" / "model.safetensors").write_bytes(b"spoilt" * 100)
    servable = _servable((tmp_path / "checkpoint-1").as_uri() + "/", runtime="mlx")
    with pytest.raises(PermanentError, match=r"(?i)safetensors"):
        backend.serve(servable, timeout_seconds=90)
