"""Writes docs/reference from the code: `python -m docs.generate`, or `make docs`.

The command from its typer application, the settings from their JSON Schema, the assets from the
definitions. A test lets it write elsewhere and compares. An argument names another directory.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from docs.asset_page import asset_page
from docs.command_page import command_page
from docs.setting_page import clusters_page, setting_page

REFERENCE = Path(__file__).with_name("reference")
PAGES: Mapping[str, Callable[[], str]] = {
    "command.md": command_page,
    "settings.md": setting_page,
    "clusters.md": clusters_page,
    "assets.md": asset_page,
}


def main(directory: Path) -> None:
    directory.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (directory / name).write_text(page(), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else REFERENCE)
