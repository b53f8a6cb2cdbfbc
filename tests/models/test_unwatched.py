"""Directories below a root that no watch takes: each is listed with what it is, why, and a fix."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloud_assets.models.layout import Layout
from cloud_assets.models.unwatched import Unwatched, list_unwatched
from resources.errors import TransientError
from tests.doubles import children
from tests.doubles.checkpoints import safetensors

BAD_NAMES = [
    "with space",
    "line\nbreak",
    "x" * 255,
    "\x1b[31m",
    "\u202eevil",
    os.fsdecode(b"\xff"),
    "-" * 60,
]

Make = Callable[[Path], object]


def write(run: Path, *names: str) -> Path:
    """Files, and directories where a name ends with a slash."""
    run.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = run / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(safetensors({"w": 8}) if name.endswith(".safetensors") else b"{}")
    return run


def final_model(run: Path) -> None:
    write(run, "trainer_state.json", "config.json", "model.safetensors", "training_args.bin")


def oumi_in_place(run: Path) -> None:
    write(run, *(f"{part}/{name}" for part in ("model", "optimizer") for name in DCP))
    write(run, "dataloader.pt", "trainer_state.json", "logs/rank_0000.log")


DCP = ("__0_0.distcp", ".metadata")


def only(root: Path) -> Unwatched:
    (found,) = list_unwatched(root)
    return found


@pytest.mark.parametrize(
    "make",
    [
        lambda run: write(run, "logs/"),
        lambda run: write(run, "global_step_5/actor/"),
        lambda run: write(run, "verl_output/global_step_5/actor/"),
        final_model,
        oumi_in_place,
    ],
)
@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_run_of_any_name_can_be_shown(tmp_path: Path, name: str, make: Make) -> None:
    (tmp_path / name).mkdir()
    make(tmp_path / name)
    found = only(tmp_path)
    assert f"{found.place}{found.reason}{found.fix}".isprintable()
    assert len(found.place) < 200
    assert found.reason
    assert found.fix


@pytest.mark.parametrize("step", ["", "5\n", "١", "\x1b[2J", os.fsdecode(b"\xff"), "9" * 200])
def test_a_step_of_any_name_can_be_shown(tmp_path: Path, step: str) -> None:
    write(tmp_path / "run", f"global_step_{step}/")
    found = only(tmp_path)
    assert found.place.startswith("run/global_step_")
    assert f"{found.place}{found.reason}".isprintable()


def test_a_root_that_is_not_there_is_an_error_that_passes(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match="no such directory"):
        list(list_unwatched(tmp_path / "nowhere"))


def test_a_run_that_vanishes_meanwhile_is_left_out(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / f"run{number}", "logs/")
    found = list_unwatched(tmp_path)
    next(found)
    for run in tmp_path.iterdir():
        (run / "logs").rmdir()
        run.rmdir()
    assert list(found) == []


def test_links_and_files_are_no_directories(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", "global_step_1/actor/", "model/.metadata", "optimizer/.metadata")
    run = write(tmp_path / "root" / "run", "config.json", "checkpoint-1/")
    write(run, "global_step_file")
    (run / "global_step_9").symlink_to(tmp_path / "elsewhere" / "global_step_1")
    (run / "verl_output").symlink_to(tmp_path / "elsewhere")
    (run / "latest").symlink_to("checkpoint-1")
    (run / "model.safetensors").symlink_to("nowhere")
    (tmp_path / "root" / "other").symlink_to(tmp_path / "elsewhere")
    assert list(list_unwatched(tmp_path / "root")) == []


LISTING = """
for found in list_unwatched(Path(sys.argv[1])):
    print(found.place, found.reason, found.fix, sep=": ")
"""


@pytest.mark.real
@pytest.mark.parametrize("closed", ["verl_output", "model"])
def test_a_directory_that_may_not_be_entered_is_a_row(open_path: Path, closed: str) -> None:
    run = write(open_path / "run", "verl_output/", "model/", "optimizer/", "checkpoint-1/")
    (run / closed).chmod(0o700 if os.geteuid() == 0 else 0)
    listed = children.run(LISTING, open_path, lowered=True)
    assert listed.startswith(f"run: the directory {closed} is unreadable: let")


def test_a_run_costs_one_scandir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        write(tmp_path / f"run{number}", "checkpoint-1/model/", "logs/", "config.json")
    scanned: list[Path] = []
    scandir = os.scandir

    def counted(path: Path) -> Any:
        scanned.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counted)
    list(list_unwatched(tmp_path))
    assert sorted(scanned) == sorted([tmp_path, *tmp_path.iterdir()])


@pytest.mark.parametrize("where", ["", "verl_output/"])
def test_each_step_of_verl_needs_a_merge(tmp_path: Path, where: str) -> None:
    write(tmp_path / "run", f"{where}global_step_5/actor/", f"{where}global_step_10/actor/")
    found = sorted(list_unwatched(tmp_path), key=lambda each: each.place)
    assert [each.place for each in found] == [
        f"run/{where}global_step_10",
        f"run/{where}global_step_5",
    ]
    assert {(each.layout, each.state, each.reason) for each in found} == {
        (Layout.VERL, "refused", "needs a merge: verl")
    }
    assert "verl.model_merger" in found[0].fix


def test_what_oumi_overwrites_in_place_needs_a_merge(tmp_path: Path) -> None:
    oumi_in_place(write(tmp_path / "run"))
    found = only(tmp_path)
    assert (found.place, found.layout, found.state, found.reason) == (
        "run",
        Layout.OUMI_DCP,
        "refused",
        "needs a merge: oumi-dcp",
    )
    assert "trainer_type" in found.fix


def test_directories_of_those_names_without_such_files_are_nothing(tmp_path: Path) -> None:
    write(tmp_path / "run", "model/notes.txt", "optimizer/", "checkpoint-1/")
    assert list(list_unwatched(tmp_path)) == []


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (("pytorch_model_fsdp_0/.metadata",), Layout.FSDP_DCP),
        (("latest", "global_step100/mp_rank_00_model_states.pt"), Layout.DEEPSPEED),
    ],
)
def test_other_pieces_in_the_runs_root_need_a_merge_too(
    tmp_path: Path, names: tuple[str, ...], layout: Layout
) -> None:
    write(tmp_path / "run", *names)
    found = only(tmp_path)
    assert (found.layout, found.reason) == (layout, f"needs a merge: {layout}")


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (("config.json", "model.safetensors"), Layout.HF),
        (("config.json", "model.safetensors.index.json"), Layout.HF_SHARDED),
        (("adapter_config.json", "adapter_model.safetensors"), Layout.LORA),
        (("config.json", "pytorch_model.bin"), Layout.HF),
    ],
)
def test_a_final_model_beside_checkpoints_is_not_published(
    tmp_path: Path, names: tuple[str, ...], layout: Layout
) -> None:
    write(tmp_path / "run", "checkpoint-100/", *names)
    found = only(tmp_path)
    assert (found.place, found.layout, found.state) == ("run", layout, "ignored")
    assert found.reason.startswith(
        "its checkpoints are published, the final model in the run's root is not: "
    )


def test_a_final_model_alone_names_no_checkpoints(tmp_path: Path) -> None:
    final_model(write(tmp_path / "run"))
    found = only(tmp_path)
    assert (found.state, found.layout) == ("ignored", Layout.HF)
    assert found.reason.startswith("the final model in the run's root is not published: ")


def test_a_configuration_alone_is_no_model(tmp_path: Path) -> None:
    write(tmp_path / "run", "config.json", "trainer_state.json", "checkpoint-1/")
    assert list(list_unwatched(tmp_path)) == []


@pytest.mark.parametrize("names", [(), ("logs/", "telemetry/world_size.json", "latest")])
def test_a_run_without_a_checkpoint_has_none_yet(tmp_path: Path, names: tuple[str, ...]) -> None:
    write(tmp_path / "run", *names)
    found = only(tmp_path)
    assert (found.place, found.state, found.reason) == ("run", "waiting", "no checkpoint yet")
    assert "checkpoint-N" in found.fix


def test_a_run_with_checkpoints_only_is_no_row(tmp_path: Path) -> None:
    write(tmp_path / "run", "checkpoint-1/", "logs/")
    assert list(list_unwatched(tmp_path)) == []


@pytest.mark.parametrize("name", ["checkpoint-100", "checkpoint-best", "global_step_5"])
def test_a_checkpoint_right_below_the_root_asks_for_another_root(tmp_path: Path, name: str) -> None:
    final_model(write(tmp_path / name, "actor/"))
    found = only(tmp_path)
    assert (found.place, found.state) == (name, "refused")
    assert found.reason == "it stands in the root itself, not in a run"
    assert "one level higher" in found.fix


def test_nothing_is_written(tmp_path: Path) -> None:
    for number, make in enumerate((final_model, oumi_in_place)):
        make(write(tmp_path / f"run{number}", "global_step_1/"))
    before = [(path, path.stat().st_mtime_ns) for path in sorted(tmp_path.rglob("*"))]
    list(list_unwatched(tmp_path))
    assert [(path, path.stat().st_mtime_ns) for path in sorted(tmp_path.rglob("*"))] == before
