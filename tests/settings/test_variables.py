"""Variables as bash writes them."""

from pathlib import Path

import pytest
import yaml

from cloud_assets.settings_file.rendering import rendered
from cloud_assets.settings_file.variables import Expansion, VariableError
from resources.errors import SettingsError

VALUES = {"A": "a", "EMPTY": "", "N": "4"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"), ("$A", "a"), ("${A}b", "ab"), ("$A/$A", "a/a"), ("$Ab${A}", None),
        ("${EMPTY}", ""), ("${EMPTY:-b}", "b"), ("${EMPTY-b}", ""), ("${X:-b}", "b"),
        ("${X-b}", "b"), ("${X:-}", ""), ("${A:-b}", "a"), ("${X:-${A}}", "a"),
        ("${X:-${Y:-$A}}c", "ac"), ("${A:+b}", "b"), ("${EMPTY:+b}", ""), ("${EMPTY+b}", "b"),
        ("${X:+$Y}", ""), ("${A:?why}", "a"), ("${X:=b}$X", "bb"), ("${A:-$X}", "a"),
        ("$$A", "$A"), ("5$", "5$"), ("$5", "$5"), ("a$ b", "a$ b"),
    ],
)  # fmt: skip
def test_a_text_is_expanded(text: str, value: str | None) -> None:
    if value is None:
        with pytest.raises(VariableError, match=r"\$Ab is not set; export Ab"):
            Expansion(VALUES).of(text)
    else:
        assert Expansion(VALUES).of(text) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("$X", r"\$X is not set; export X, or give a value to take then: \$\{X:-value\}"),
        ("${X}", r"\$X is not set"),
        ("${X:?name the disk}", r"\$X is not set: name the disk; export X"),
        ("${EMPTY:?}", r"\$EMPTY is not set: it must be"),
        ("${A", "no variable that is known here"),
        ("${A:-b", "lacks a closing"),
        ("${}", "has no name"),
        ("${#A}", "has no name"),
        ("${A%b}", "no variable that is known here"),
        ("${A:0:1}", "no variable that is known here"),
        ("${X:-$Y}", r"\$Y is not set"),
    ],
)
def test_what_has_no_value_is_told(text: str, words: str) -> None:
    with pytest.raises(VariableError, match=words):
        Expansion(VALUES).of(text)


def test_where_only_the_spelling_counts_nothing_need_be_set() -> None:
    expansion = Expansion({}, strict=False)
    assert expansion.of("${X:?why}${Y}${Z:-z}$X") == "whyz"
    assert expansion.used == {"X": 2, "Y": 1, "Z": 1}


def render(directory: Path, text: str) -> str:
    path = directory / "template.yaml"
    path.write_text(text)
    return rendered(path).text


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A", "a: b")
    monkeypatch.setenv("N", "4")
    monkeypatch.delenv("NOWHERE", raising=False)


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ("a: $N # four\n", "a: 4 # four\n"),
        ("a: '$N'\n", 'a: "4"\n'),
        ("a: $A\n", 'a: "a: b"\n'),
        ("a: &x $N\nb: *x\n", "a: &x 4\nb: *x\n"),
        ("a: {b: $N}\n", "a: {b: 4}\n"),
        ("a: |\n  x $N\n  y\nb: 1\n", 'a: "x 4\\ny\\n"\nb: 1\n'),
        ("# $N\na: 1\n", "# $N\na: 1\n"),
        ("$N: 1\n", "$N: 1\n"),
        ("a: é$N\n", "a: é4\n"),
        ("a: ${NOWHERE:-}\n", 'a: ""\n'),
    ],
)
def test_only_values_change_and_all_else_stays(tmp_path: Path, text: str, out: str) -> None:
    assert render(tmp_path, text) == out


def test_a_value_without_quotes_is_read_anew(tmp_path: Path) -> None:
    text = render(tmp_path, "a: ${N}\nb: '${N}'\nc: ${NOWHERE:-true}\n")
    assert yaml.safe_load(text) == {"a": 4, "b": "4", "c": True}


def test_every_variable_without_a_value_is_told_by_its_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as error:
        render(tmp_path, "a:\n  - $NOWHERE\nb: ${NOWHERE:?say where}\n")
    assert [each.partition("template.yaml:")[2][:12] for each in error.value.problems] == [
        "2: a.0: $NOW",
        "3: b: $NOWHE",
    ]


def test_the_project_is_the_nearest_repository_else_the_directory(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert render(inner, "a: $TOT\n") == f"a: {inner}\n"
    (tmp_path / ".git").mkdir()
    assert render(inner, "a: $TOT\n") == f"a: {tmp_path}\n"
