"""Every reason that the code can give has its row in docs/runbooks/reasons.md."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "runbooks" / "reasons.md"
#: Calls that carry a reason, with the position of that argument.
CALLS = {
    "Problem": 0,
    "RefusedCheckpoint": 0,
    "_Changed": 0,
    "_Flaw": 0,
    "_not_published": 1,
    "NeedsRepair": 2,
    "DeadlineExceeded": 2,
    "Cause": 1,
    "Difference": 0,
    "PermanentError": 2,
    "TransientError": 2,
    "Ruling": 1,
    "ill": 1,
    "slower": 1,
}
VARIABLES = {"reason", "refusal"}
#: Functions all of whose sentences are reasons.
FUNCTIONS = {
    "reasons_against", "explain", "diagnose", "_against_champion", "_why",
    "_why_it_stays", "_withheld", "_said", "_shortage",
}  # fmt: skip
#: Told by the demo alone, which says what to do itself.
OTHERS = {"demo.py", "progress_table.py"}


def test_every_reason_in_the_code_has_its_row() -> None:
    assert sorted(reasons() - described()) == []


def test_every_row_is_a_reason_that_the_code_can_give() -> None:
    """A word of the row's is enough where the code puts the sentence together from parts."""
    code = "\n".join(path.read_text("utf-8") for path in sources())
    pieces = {row: max(row.split("…"), key=len).strip(" :;`") for row in described() - reasons()}
    assert [row for row, piece in pieces.items() if piece not in code.replace("`", "")] == []


def described() -> set[str]:
    """The first cells of the page's tables, without the code marks."""
    rows = re.findall(r"^\| (`.+?`) \| ", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    return {_plain(row.replace("\\|", "|")) for row in rows}


def reasons() -> set[str]:
    """What the code says, with `…` where it fills something in; at least two words of its own."""
    found = {
        _plain(text) for path in sources() for text in _reasons_of(ast.parse(path.read_text()))
    }
    return {text for text in found if len(re.findall(r"[A-Za-z_]{2,}", text)) > 1}


def sources() -> list[Path]:
    found = [path for room in ("cloud_assets", "resources", "sensors") for path in
             (ROOT / room).rglob("*.py")]  # fmt: skip
    return [path for path in found if path.name not in OTHERS]


def _reasons_of(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            position = CALLS.get(node.func.id)
            if position is not None and len(node.args) > position:
                yield from _texts(node.args[position])
        if isinstance(node, ast.Assign) and VARIABLES & set(_targets(node)):
            yield from _texts(node.value)
        if isinstance(node, ast.FunctionDef) and node.name in FUNCTIONS:
            yield from _sentences(node)


def _sentences(function: ast.FunctionDef) -> Iterator[str]:
    docstring = ast.get_docstring(function, clean=False)
    inside = {id(v) for j in ast.walk(function) if isinstance(j, ast.JoinedStr) for v in j.values}
    for node in ast.walk(function):
        if isinstance(node, ast.JoinedStr | ast.Constant) and id(node) not in inside:
            yield from (text for text in _texts(node) if text != docstring and " " in text)


def _targets(node: ast.Assign) -> Iterable[str]:
    return (target.id for target in node.targets if isinstance(target, ast.Name))


def _texts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    if isinstance(node, ast.JoinedStr):
        pieces = (v.value if isinstance(v, ast.Constant) else "…" for v in node.values)
        yield "".join(str(piece) for piece in pieces)
    if isinstance(node, ast.Tuple):
        for element in node.elts:
            yield from _texts(element)


def _plain(text: str) -> str:
    return re.sub("…+", "…", " ".join(text.replace("`", "").split()))
