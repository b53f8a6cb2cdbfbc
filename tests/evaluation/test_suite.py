"""Reading suites, and which answers count."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cloud_assets.evaluation.suite import Judge, Message, Suite, SuiteItem, normalised, read_suite
from resources.errors import SettingsError

Write = Callable[[str | bytes], Path]
GOOD = '{"prompt": "1+1?", "expected": "2"}'


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(content: str | bytes) -> Path:
        path = tmp_path / "suite.jsonl"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written


def problems(path: Path) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        read_suite(path)
    return caught.value.problems


def item(judge: Judge, *expected: str) -> SuiteItem:
    return SuiteItem("a", "?", expected, judge)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "is not JSON at column 2"),
        ("[1]", "no object"),
        ('"text"', "no object"),
        ("[" * 100_000, "is not JSON"),
        ('{"expected": "2"}', "neither `prompt` nor `messages`"),
        ('{"prompt": "a", "messages": [], "expected": "2"}', "both `prompt` and `messages`"),
        ('{"prompt": "", "expected": "2"}', "`prompt` must be a text"),
        ('{"prompt": 7, "expected": "2"}', "`prompt` must be a text"),
        ('{"prompt": "\\ud800", "expected": "2"}', "`prompt` must be a text"),
        ('{"prompt": "a"}', "`expected` must be"),
        ('{"prompt": "a", "expected": []}', "`expected` must be"),
        ('{"prompt": "a", "expected": ["b", 2]}', "`expected` must be"),
        ('{"prompt": "a", "expected": " "}', "`expected` must be"),
        ('{"prompt": "a", "expected": "b", "judge": "fuzzy"}', "`judge` must be one of exact"),
        ('{"prompt": "a", "expected": "b", "judge": ["exact"]}', "`judge` must be one of exact"),
        ('{"prompt": "a", "expected": "(", "judge": "regex"}', "`(` is not a regular expression"),
        ('{"prompt": "a", "expected": "b", "id": ""}', "`id` must be a text"),
        ('{"prompt": "a", "expected": "b", "weight": 2}', "unknown field `weight`"),
        ('{"messages": [], "expected": "b"}', "at least one message"),
        ('{"messages": ["hi"], "expected": "b"}', "message 1 must have `role` and `content`"),
        ('{"messages": [{"role": "me", "content": "a"}], "expected": "b"}', "message 1: `role`"),
        (
            '{"messages": [{"role": "user", "content": ""}], "expected": "b"}',
            "message 1: `content`",
        ),
    ],
)
def test_a_bad_line_is_named_with_its_problem(write: Write, line: str, complaint: str) -> None:
    path = write(f"{GOOD}\n{line}\n")
    (problem,) = problems(path)
    assert problem.startswith(f"{path}:2: ")
    assert complaint in problem


def test_bytes_that_are_not_utf8_are_named(write: Write) -> None:
    assert "is not UTF-8 at byte 3" in problems(write(b'{"\xff": 1}'))[0]


def test_every_problem_of_the_file_is_told_at_once(write: Write) -> None:
    found = problems(write(f'{{\n{GOOD}\n{{"judge": "no"}}\n'))
    assert [problem.split(":")[1] for problem in found] == ["1", "3", "3", "3"]


def test_an_id_used_twice_names_both_lines(write: Write) -> None:
    first = '{"id": "a", "prompt": "x", "expected": "1"}'
    second = '{"id": "a", "prompt": "y", "expected": "1"}'
    path = write(f"{first}\n\n{second}\n")
    assert problems(path) == (f"{path}:3: id `a` stands in line 1 already; ids must differ",)


def test_a_question_asked_twice_without_ids_is_refused(write: Write) -> None:
    assert "asks what line 1 asks already" in problems(write(f"{GOOD}\n{GOOD}\n"))[0]


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_a_suite_without_items_is_refused(write: Write, content: str) -> None:
    assert problems(write(content))[0].endswith(":1: has no item; write at least one line")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert problems(tmp_path / "none.jsonl") == (
        f"{tmp_path / 'none.jsonl'}: No such file or directory",
    )


def test_a_directory_is_refused(tmp_path: Path) -> None:
    assert "directory" in problems(tmp_path)[0]


def test_a_suite_is_read_in_the_order_of_the_file(write: Write) -> None:
    chat = {"id": "b", "messages": [{"role": "user", "content": "hi"}], "expected": ["x", "y"]}
    raw = f"\ufeff{GOOD}\r\n{json.dumps(chat)}"
    suite = read_suite(write(raw))
    assert suite == Suite(
        "suite.jsonl",
        hashlib.sha256(raw.encode()).hexdigest(),
        (
            SuiteItem(suite.items[0].id, "1+1?", ("2",), Judge.EXACT),
            SuiteItem("b", (Message("user", "hi"),), ("x", "y"), Judge.EXACT),
        ),
    )


def test_an_item_keeps_its_made_up_id_when_lines_are_added_above(write: Write) -> None:
    before = read_suite(write(GOOD)).items[-1]
    after = read_suite(write('{"prompt": "new", "expected": "x"}\n' + GOOD)).items[-1]
    assert before == after


def test_a_chat_is_shown_with_its_roles() -> None:
    question = (Message("system", "be brief"), Message("user", "hi"))
    assert SuiteItem("a", question, ("x",), Judge.EXACT).prompt == "system: be brief\nuser: hi"


@pytest.mark.parametrize("answer", ["Paris", " paris.\n", '"PARIS!"', "“Paris”", "Ｐａｒｉｓ"])
def test_exact_forgives_case_space_width_quotes_and_the_full_stop(answer: str) -> None:
    assert item(Judge.EXACT, "Paris").accepts(answer)


@pytest.mark.parametrize("answer", ["", "Paris, France", "It is Paris", "Pari s"])
def test_exact_forgives_nothing_else(answer: str) -> None:
    assert not item(Judge.EXACT, "Paris").accepts(answer)


@pytest.mark.parametrize("text", ["?", "...", '"', "ẞ", "ﬁ", "İ", "１.", "a " * 9])
def test_normalising_twice_changes_nothing_and_leaves_something(text: str) -> None:
    once = normalised(text)
    assert once
    assert normalised(once) == once


def test_contains_finds_whole_words_only() -> None:
    seven = item(Judge.CONTAINS, "7")
    assert [seven.accepts(answer) for answer in ("7", "it is 7.", "17", "7th", "(7)")] == [
        True, True, False, False, True,
    ]  # fmt: skip


def test_contains_works_without_spaces_between_words() -> None:
    assert item(Judge.CONTAINS, "東京").accepts("答えは東京です")


def test_contains_takes_the_expected_literally() -> None:
    assert not item(Judge.CONTAINS, "a.c").accepts("abc")


def test_regex_searches_the_answer_as_it_came() -> None:
    pattern = item(Judge.REGEX, r"^\d+ km$")
    assert pattern.accepts("12 km")
    assert not pattern.accepts("12 KM")


def test_any_of_the_expected_is_enough() -> None:
    assert item(Judge.EXACT, "four", "4").accepts("4")
