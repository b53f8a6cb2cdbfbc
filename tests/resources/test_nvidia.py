"""Which processes have a GPU open, read from a /proc that is made of files and links."""

from pathlib import Path

import pytest

from resources.nvidia import Process, holders


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    for number, address in enumerate(("0000:01:00.0", "0000:41:00.0")):
        folder = tmp_path / "driver" / "nvidia" / "gpus" / address
        folder.mkdir(parents=True)
        told = f"Model: \t\t NVIDIA\nDevice Minor: \t {number}\n"
        (folder / "information").write_text(told)
    return tmp_path


def process(proc: Path, pid: int, *opened: str) -> None:
    (proc / str(pid) / "fd").mkdir(parents=True)
    (proc / str(pid) / "comm").write_text(f"program-{pid}\n")
    for number, path in enumerate(opened):
        (proc / str(pid) / "fd" / str(number)).symlink_to(path)


def test_a_machine_without_the_driver_has_none(tmp_path: Path) -> None:
    process(tmp_path, 7, "/dev/nvidia0")
    assert holders(tmp_path) == {}


def test_processes_are_told_by_gpu(proc: Path) -> None:
    process(proc, 7, "/dev/null", "/dev/nvidia0", "/dev/nvidia0", "/dev/nvidiactl")
    process(proc, 12, "/dev/nvidia0", "/dev/nvidia1")
    process(proc, 13, "/dev/nvidiactl", "/dev/nvidia-uvm")
    first = Process(7, "program-7", ("/dev/nvidia0",))
    second = Process(12, "program-12", ("/dev/nvidia0", "/dev/nvidia1"))
    assert holders(proc) == {"0000:01:00.0": (first, second), "0000:41:00.0": (second,)}


def test_a_process_that_ended_meanwhile_is_left_out(proc: Path) -> None:
    (proc / "9").mkdir()
    process(proc, 10, "/dev/nvidia1")
    assert [each.pid for each in holders(proc)["0000:41:00.0"]] == [10]


def test_this_machine_is_looked_at_without_a_failure() -> None:
    assert isinstance(holders(), dict)
