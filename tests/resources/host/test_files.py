"""Directories and images: room, rights, and what qemu-img makes of real files."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from resources.host import files

Made = Callable[..., Path]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """An image by qemu-img; nobody else may write where it is."""
    if shutil.which("qemu-img") is None:
        pytest.skip("qemu-img is not installed")

    def make(name: str, *options: str) -> Path:
        path = tmp_path / name
        subprocess.run(["qemu-img", "create", "-q", *options, path, "16M"], check=True)
        return path

    return make


def test_a_directory_that_is_to_be_made_is_known_by_what_is_above(tmp_path: Path) -> None:
    found = files.directory(tmp_path / "a" / "b")
    assert (found.is_there, found.is_directory, found.nearest) == (False, True, str(tmp_path))
    assert found.free > 0
    assert found.is_writable


def test_a_file_in_its_place_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert not files.directory(tmp_path / "a").is_directory


def test_directories_that_strangers_write_to_or_cannot_enter_are_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "pool").mkdir(mode=0o755)
    assert files.directory(tmp_path / "pool").strangers == ""
    (tmp_path / "pool").chmod(0o777)
    assert files.directory(tmp_path / "pool").strangers == str(tmp_path / "pool")
    (tmp_path / "pool").chmod(0o1777)
    assert files.directory(tmp_path / "pool").strangers == ""
    (tmp_path / "pool").chmod(0o700)
    assert files.directory(tmp_path / "pool").closed != ""


@pytest.mark.parametrize("kind", ["qcow2", "raw", "vmdk"])
def test_an_image_is_of_the_format_that_it_has_and_not_of_its_name(made: Made, kind: str) -> None:
    found = files.image(made("image.qcow2", "-f", kind))
    assert (found.is_readable, found.format, found.size) == (True, kind, 16 * 2**20)


def test_what_an_image_lies_on_must_be_there(made: Made) -> None:
    base = made("base.qcow2", "-f", "qcow2")
    overlay = made("overlay.qcow2", "-f", "qcow2", "-b", str(base), "-F", "qcow2")
    assert files.image(overlay).format == "qcow2"
    base.unlink()
    found = files.image(overlay)
    assert found.format == ""
    assert str(base) in found.problem


def test_an_image_that_strangers_write_to_is_told(made: Made) -> None:
    path = made("image.qcow2", "-f", "qcow2")
    path.chmod(0o666)
    assert files.image(path).strangers == str(path)


def test_what_is_no_file_is_no_image(tmp_path: Path) -> None:
    assert not files.image(tmp_path / "none").is_there
    assert not files.image(tmp_path).is_readable


def test_what_a_file_takes_is_less_than_its_size_where_it_has_holes(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    with path.open("wb") as opened:
        opened.truncate(2**30)
    assert files.allocated(path) < 2**20
    assert files.allocated(tmp_path / "none") == 0
