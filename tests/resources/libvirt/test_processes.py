"""Who has a file open: this test does."""

import os
from pathlib import Path

from resources.libvirt.api import processes


def test_who_has_a_file_open_is_told_by_any_of_its_names(tmp_path: Path) -> None:
    file, link = tmp_path / "disk", tmp_path / "link"
    file.write_bytes(b"")
    os.link(file, link)
    assert processes.having_open(file) == ()
    with file.open("rb"):
        [found] = processes.having_open(link)
    assert found.endswith(f"({os.getpid()})")


def test_a_file_of_another_machine_is_open_nowhere(tmp_path: Path) -> None:
    assert processes.having_open(tmp_path / "none") == ()
