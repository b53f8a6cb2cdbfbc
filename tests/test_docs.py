"""What people read is true: commands run, links lead somewhere, the reference is the code's."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud_assets.settings_file import read_settings
from tests.doubles.walkthrough import Command, Shell, checkout_in, commands, other_ports

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
GUIDE = ROOT / "docs" / "guides" / "first-model.md"
SERVICES = ROOT / "docs" / "guides" / "services.md"
MACHINES = ROOT / "docs" / "guides" / "machines.md"
ON_CLUSTER = ROOT / "docs" / "guides" / "serve-on-your-cluster.md"
LAST_COMMAND = "ai-how down"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("examples/*/*.md")])
MOST_BYTES = 2**20
#: The headings of the columns that say what a thing of the reference is.
MEANINGS = {"meaning", "holds when", "what a run does", "what it does"}


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return checkout_in(tmp_path)


@pytest.fixture
def exchanged() -> dict[str, str]:
    """Free ports for those that the pages name; targets of make are only looked up."""
    return {**other_ports(), "make ": "make --dry-run "}


@pytest.fixture
def reader(checkout: Path, exchanged: dict[str, str]) -> Iterator[Shell]:
    """A shell in the checkout; whatever it started is ended."""
    variables = {k: v for k, v in os.environ.items() if not k.startswith("AI_HOW_")}
    variables["PATH"] = f"{Path(sys.executable).parent}:{variables['PATH']}"
    yield Shell(checkout, variables, exchanged)
    cluster = checkout / "first-model" / "cluster.yaml"
    if cluster.exists():
        down = [sys.executable, "-c", "from cloud_assets.cli.main import main; main()", "down"]
        subprocess.run(down, env={**variables, "AI_HOW_CLUSTER": str(cluster)}, check=True)


@pytest.mark.e2e
@pytest.mark.timeout(900)
def test_every_command_of_the_guide_and_the_readme_does_what_the_page_says(
    reader: Shell, checkout: Path
) -> None:
    """The README's commands run on the guide's platform, which has the same model as the demo."""
    guide = list(commands(GUIDE))
    assert guide[-1].script == LAST_COMMAND
    for command in guide[:-1]:
        reader.follow(command)
    cluster = str(checkout / "first-model" / "cluster.yaml")
    environment = {**reader.environment, "AI_HOW_CLUSTER": cluster}
    newcomer = Shell(checkout, environment, reader.exchanged)
    for command in commands(README):
        newcomer.follow(command)
    reader.follow(guide[-1])
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert str(checkout / "first-model") not in running.stdout


def test_every_command_of_the_guide_on_machines_does_what_the_page_says(reader: Shell) -> None:
    for command in commands(MACHINES):
        reader.follow(command)


@pytest.mark.parametrize(
    ("script", "printed"), [("echo no", "yes"), ("echo a; echo b; exit 1", "a"), ("echo ab", "a")]
)
def test_a_page_that_is_not_true_is_noticed(tmp_path: Path, script: str, printed: str) -> None:
    shell = Shell(tmp_path, os.environ, {})
    with pytest.raises(AssertionError, match=r"page\.md:1"):
        shell.follow(Command("page.md:1", script, (printed,)))


def test_every_page_with_commands_is_walked_through() -> None:
    """The one on services is, on the testbed, by `tests/e2e/test_services.py`."""
    walked = {README, GUIDE, SERVICES, ON_CLUSTER, MACHINES}
    assert {page for page in PAGES if list(commands(page))} == walked


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    local = [target for target in targets if not target.startswith("https://")]
    assert [target for target in local if not _exists(page, target)] == []


def _exists(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    found = (page.parent / path).resolve() if path else page
    if not found.exists() or not found.is_relative_to(ROOT):
        return False
    return not anchor or anchor in _anchors(found)


def _anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md"])
def test_a_page_that_is_read_first_is_short(name: str) -> None:
    assert len((ROOT / name).read_text("utf-8").splitlines()) <= 150


def test_the_reference_is_what_the_code_says(tmp_path: Path) -> None:
    """In a process of its own, since Dagster warns about its previews while the graph is loaded."""
    subprocess.run(
        [sys.executable, "-m", "docs.generate", str(tmp_path / "reference")],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    written = {page.name: page.read_text("utf-8") for page in (tmp_path / "reference").iterdir()}
    tracked = {page.name: page.read_text("utf-8") for page in (ROOT / "docs/reference").iterdir()}
    assert written == tracked, "run `make docs` and commit what it wrote"


def test_every_entry_of_the_reference_says_what_it_is() -> None:
    """A row or a section without its sentence lacks a description or a help text in the code."""
    empty = []
    for page in (ROOT / "docs" / "reference").iterdir():
        text = page.read_text("utf-8")
        rows = [re.split(r" \| ", line.strip("|")) for line in text.splitlines() if "|" in line]
        meaning = 0
        for row in rows:
            said = [n for n, cell in enumerate(row) if cell.strip() in MEANINGS]
            meaning = said[0] if said else meaning
            empty += (
                [row[0].strip()] if row[0].startswith(" `") and not row[meaning].strip() else []
            )
        empty += re.findall(r"^## `(.+)`\n\n+(?:\||```)", text, flags=re.MULTILINE)
    assert empty == []


@pytest.mark.parametrize("file", sorted((ROOT / "examples/settings").iterdir()), ids=names)
def test_an_example_of_settings_is_valid_and_names_files_that_are_there(file: Path) -> None:
    settings = read_settings(file)
    assert settings.roots
    assert all(path.is_file() for path in settings.evaluation.suites.values())


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_tracked_file_is_large() -> None:
    assert [names(file) for file in tracked_files() if file.stat().st_size > MOST_BYTES] == []


def test_no_tracked_file_names_this_machine_or_a_package_index() -> None:
    """Spelt in pieces, so that this file is not found itself."""
    hosts = ["pypi" + ".org", "python" + "hosted", "arti" + "factory", "--index" + "-url http"]
    folders = [f"/{name}/" + "[a-z]" for name in ("root", "work", "home")]
    wanted = re.compile("|".join([*map(re.escape, hosts), *folders]))
    found = []
    for file in tracked_files():
        content = file.read_bytes().decode("utf-8", "replace")
        found += [f"{names(file)}: {match[0]}" for match in wanted.finditer(content)]
    assert found == []
