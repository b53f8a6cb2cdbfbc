"""Debian's kernels, unpacked without being installed, and the modules that others need."""

import re
from collections.abc import Sequence
from pathlib import Path

from tests.testbed.build import commands


def unpack(meta_package: str, into: Path) -> Path:
    """Have the kernel that the meta package names in `into`; the path of its image."""
    depends = commands.run(["apt-cache", "depends", meta_package])
    found = re.search(r"linux-image-\S+", depends.partition("Depends:")[2])
    downloads = into / "downloads"
    downloads.mkdir(parents=True)
    # Readable to the user that apt downloads as.
    commands.run(
        ["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root",
         found[0] if found else meta_package],
        directory=downloads,
    )  # fmt: skip
    commands.run(["dpkg-deb", "--extract", *downloads.glob("*.deb"), into])
    return next((into / "boot").glob("vmlinuz-*"))


def modules(unpacked: Path, wanted: Sequence[str]) -> list[Path]:
    """The files of the modules with all that they need, in the order in which they load."""
    version = next((unpacked / "lib" / "modules").iterdir())
    commands.run(["busybox", "depmod", "-b", unpacked, version.name])
    needs: dict[str, tuple[Path, list[str]]] = {}
    for line in (version / "modules.dep").read_text("ascii").splitlines():
        path, _, others = line.partition(":")
        needs[_name(path)] = version / path, [_name(each) for each in others.split()]
    ordered: dict[str, Path] = {}

    def load(name: str) -> None:
        path, others = needs[name]
        for each in others:
            if each not in ordered:
                load(each)
        ordered[name] = path

    for each in wanted:
        load(each)
    return list(ordered.values())


def _name(path: str) -> str:
    return Path(path).name.removesuffix(".ko").replace("-", "_")
