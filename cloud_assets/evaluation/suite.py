"""Evaluation suites: reading the JSON lines, and deciding whether an answer counts.

Asking an endpoint and counting what came back is `quality`'s business.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from resources.errors import SettingsError

FIELDS = ("id", "prompt", "messages", "expected", "judge")
ROLES = ("system", "user", "assistant")
MAX_BYTES = 64 * 1024 * 1024
HINT = 'a line reads {"prompt": "…", "expected": "…", "judge": "exact"}'


class Judge(StrEnum):
    """How an answer is held against what is expected.

    exact: equal after `normalised`. contains: stands in the answer after `normalised`, as whole
    words where it begins or ends with an ASCII letter or digit, so that `7` is not found in `17`.
    regex: `re.search` in the answer as it came, no flags but those the pattern sets itself.
    """

    EXACT = "exact"
    CONTAINS = "contains"
    REGEX = "regex"


@dataclass(frozen=True)
class Message:
    """One message of a chat."""

    role: str
    content: str


@dataclass(frozen=True)
class SuiteItem:
    """One question: a plain prompt or a chat (`messages`), and the answers that count as right."""

    id: str
    question: str | tuple[Message, ...]
    expected: tuple[str, ...]
    judge: Judge

    @property
    def prompt(self) -> str:
        """The question as one text, a chat as `role: content` lines."""
        if isinstance(self.question, str):
            return self.question
        return "\n".join(f"{message.role}: {message.content}" for message in self.question)

    def accepts(self, answer: str) -> bool:
        """Whether `answer` matches one of the expected."""
        return any(_matches(self.judge, expected, answer) for expected in self.expected)


@dataclass(frozen=True)
class Suite:
    """The items in the order of the file; `sha256` is of the file's bytes, in hex."""

    name: str
    sha256: str
    items: tuple[SuiteItem, ...]


def read_suite(path: Path) -> Suite:
    """The suite that `path` holds. Raises SettingsError with every problem as `file:line: …`."""
    try:
        size = path.stat().st_size
        raw = path.read_bytes() if size <= MAX_BYTES else b""
    except OSError as error:
        raise SettingsError([f"{path}: {error.strerror}"], hint="name a readable file") from error
    if size > MAX_BYTES:
        raise SettingsError([f"{path}: has {size} bytes; a suite has at most {MAX_BYTES}"])
    return parse_suite(raw, path)


def parse_suite(raw: bytes, path: Path) -> Suite:
    """The suite in `raw`, the bytes of `path`. Blank lines are skipped."""
    problems: list[str] = []
    items: dict[str, SuiteItem] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not line.strip():
            continue
        item, found = _parse_line(line)
        if item is not None and item.id in items:
            found = [_duplicate(items[item.id], item, lines[item.id])]
        problems += [f"{path}:{number}: {problem}" for problem in found]
        if item is not None and not found:
            items[item.id] = item
            lines[item.id] = number
    if not items and not problems:
        problems.append(f"{path}:1: has no item; write at least one line")
    if problems:
        raise SettingsError(problems, hint=HINT)
    return Suite(path.name, hashlib.sha256(raw).hexdigest(), tuple(items.values()))


def normalised(text: str) -> str:
    """`text` as answers are compared.

    Unicode NFKC, case folded, runs of white space as one space, none at the ends, and without
    surrounding quotes or a closing `.`, `!` or `?`: `"Paris."` counts as `paris`.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = " ".join(unicodedata.normalize("NFKC", folded).split())
    return words.strip("\"'`“”‘’« »").rstrip(".!? ").strip("\"'`“”‘’« »") or words


def _matches(judge: Judge, expected: str, answer: str) -> bool:
    if judge is Judge.REGEX:
        return re.search(expected, answer) is not None
    wanted, given = normalised(expected), normalised(answer)
    if judge is Judge.EXACT:
        return wanted == given
    before = r"(?<![0-9a-z])" if re.match(r"[0-9a-z]", wanted) else ""
    after = r"(?![0-9a-z])" if re.search(r"[0-9a-z]\Z", wanted) else ""
    return re.search(f"{before}{re.escape(wanted)}{after}", given) is not None


def _duplicate(first: SuiteItem, second: SuiteItem, line: int) -> str:
    if first.question == second.question:
        return f"asks what line {line} asks already; remove one, or give each its own `id`"
    return f"id `{second.id[:80]}` stands in line {line} already; ids must differ"


def _parse_line(line: bytes) -> tuple[SuiteItem | None, list[str]]:
    try:
        record = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return None, [f"is not UTF-8 at byte {error.start + 1}; save the file as UTF-8"]
    except (ValueError, RecursionError) as error:
        where = f" at column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        return None, [f"is not JSON{where}; put one JSON object on each line"]
    if not isinstance(record, dict):
        return None, ["is JSON, but no object; put the fields between { and }"]
    return _item(record)


def _item(record: Mapping[str, Any]) -> tuple[SuiteItem | None, list[str]]:
    problems = [
        f"unknown field `{name[:80]}`; an item has {', '.join(FIELDS)}"
        for name in record
        if name not in FIELDS
    ]
    question = _question(record, problems)
    expected = _expected(record, problems)
    judge = _judge(record, expected, problems)
    identifier = record.get("id", _digest(question))
    if not _is_text(identifier):
        problems.append("`id` must be a text that is not empty")
    if problems:
        return None, problems
    return SuiteItem(identifier, question, expected, judge), []


def _digest(question: str | tuple[Message, ...]) -> str:
    """An id that stays the same when lines are added above, so that comparisons still pair up."""
    return hashlib.sha256(repr(question).encode("utf-8", "replace")).hexdigest()[:8]


def _is_text(value: object) -> bool:
    """Whether `value` is a text with something in it that can be written down as UTF-8."""
    if not isinstance(value, str) or not value.strip():
        return False
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in value)


def _question(record: Mapping[str, Any], problems: list[str]) -> str | tuple[Message, ...]:
    if "prompt" in record and "messages" in record:
        problems.append("has both `prompt` and `messages`; keep one")
    elif "prompt" in record:
        if _is_text(record["prompt"]):
            return str(record["prompt"])
        problems.append("`prompt` must be a text that is not empty")
    elif "messages" in record:
        return _messages(record["messages"], problems)
    else:
        problems.append("has neither `prompt` nor `messages`; add one")
    return ""


def _messages(value: object, problems: list[str]) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        problems.append("`messages` must be a list with at least one message")
        return ()
    messages = []
    for number, message in enumerate(value, start=1):
        if not isinstance(message, dict) or set(message) != {"role", "content"}:
            problems.append(f"message {number} must have `role` and `content`, nothing else")
        elif message["role"] not in ROLES:
            problems.append(f"message {number}: `role` must be one of {', '.join(ROLES)}")
        elif not _is_text(message["content"]):
            problems.append(f"message {number}: `content` must be a text that is not empty")
        else:
            messages.append(Message(message["role"], message["content"]))
    return tuple(messages)


def _expected(record: Mapping[str, Any], problems: list[str]) -> tuple[str, ...]:
    value = record.get("expected")
    texts: Sequence[object] = value if isinstance(value, list) else [value]
    if texts and all(_is_text(text) for text in texts):
        return tuple(str(text) for text in texts)
    problems.append("`expected` must be a text, or a list of texts, none of them empty")
    return ()


def _judge(record: Mapping[str, Any], expected: Sequence[str], problems: list[str]) -> Judge:
    value = record.get("judge", Judge.EXACT)
    if value not in list(Judge):
        problems.append(f"`judge` must be one of {', '.join(Judge)}")
        return Judge.EXACT
    for pattern in expected if value == Judge.REGEX else ():
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            problems.append(f"`{pattern[:80]}` is not a regular expression: {error}")
    return Judge(value)
