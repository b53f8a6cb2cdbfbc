"""The shape of the code: sizes, names and habits that keep every file quick to read."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PRODUCT = ("cloud_assets", "resources", "sensors")
FOLDERS = (*PRODUCT, "tests", "examples", "benchmarks", "docs")

LIMIT_OF_FILE = 300
LIMIT_OF_TEST_FILE = 450
LIMIT_OF_FUNCTION = 40
LIMIT_OF_FOLDER = 10
LIMIT_OF_DOCSTRING = 5
#: The tree of errors is drawn where it grows, and a trainer's options are told where it starts.
DRAWN = {"resources/errors.py", "examples/train.py"}
BANNED = re.compile(
    r"(^|_)(utils?|helpers?|common|misc|managers?|handlers?|data|infos?)(_|\.|$)|_v\d+$"
)

FILES = sorted(
    path.relative_to(REPOSITORY).as_posix()
    for folder in FOLDERS
    for path in (REPOSITORY / folder).rglob("*.py")
)
PRODUCT_FILES = [name for name in FILES if name.split("/")[0] in PRODUCT]


def tree(name: str) -> ast.Module:
    return ast.parse((REPOSITORY / name).read_text("utf-8"))


def functions(name: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_short(name: str) -> None:
    limit = LIMIT_OF_TEST_FILE if name.startswith("tests/") else LIMIT_OF_FILE
    assert len((REPOSITORY / name).read_text("utf-8").splitlines()) <= limit


@pytest.mark.parametrize("name", FILES)
def test_functions_are_short(name: str) -> None:
    long = {each.name: length(each) for each in functions(name) if length(each) > LIMIT_OF_FUNCTION}
    assert long == {}


@pytest.mark.parametrize("name", FILES)
def test_a_module_says_in_few_lines_what_it_is_for(name: str) -> None:
    found = ast.get_docstring(tree(name))
    assert found, "it has no docstring"
    lines = [line for line in found.splitlines() if line.strip()]
    assert len(lines) <= LIMIT_OF_DOCSTRING or name in DRAWN


@pytest.mark.parametrize("folder", sorted({str(Path(name).parent) for name in PRODUCT_FILES}))
def test_a_folder_is_seen_at_a_glance(folder: str) -> None:
    files = [path.name for path in (REPOSITORY / folder).glob("*.py") if path.stem != "__init__"]
    assert len(files) <= LIMIT_OF_FOLDER, sorted(files)


@pytest.mark.parametrize("name", PRODUCT_FILES)
def test_names_say_what_a_thing_is(name: str) -> None:
    defined = {
        node.name
        for node in tree(name).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    parts = {part.removesuffix(".py") for part in name.split("/")}
    words = {re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", each).lower() for each in defined | parts}
    assert sorted(filter(BANNED.search, words)) == []


@pytest.mark.parametrize("name", PRODUCT_FILES)
def test_no_error_is_swallowed_whole(name: str) -> None:
    broad = [
        node.lineno
        for node in ast.walk(tree(name))
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type)
    ]
    assert broad == []


def _is_broad(kind: ast.expr | None) -> bool:
    return kind is None or (isinstance(kind, ast.Name) and kind.id in {"Exception"})


@pytest.mark.parametrize("name", PRODUCT_FILES)
def test_only_output_prints(name: str) -> None:
    calls = [
        node.lineno
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"print", "input", "breakpoint"}
    ]
    assert calls == [] or name == "cloud_assets/cli/output.py"
