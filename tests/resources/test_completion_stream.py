"""The reader of event streams, by the moments at which pieces come."""

import json
from typing import Any

import pytest

from resources.load.completion_stream import Completion
from resources.load.rows import Failure


def read(*events: Any, end: float = 9.0) -> Completion:
    """An answer whose events come at 1, 2, 3 … and which is over at `end`."""
    answer = Completion()
    for moment, event in enumerate(events, start=1):
        payload = event if isinstance(event, bytes) else b"data: " + json.dumps(event).encode()
        answer.read_line(payload + b"\n", float(moment))
    answer.close(end)
    return answer


def text(content: Any, finish: Any = None) -> dict[str, Any]:
    return {"choices": [{"text": content, "finish_reason": finish}]}


def delta(finish: Any = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"delta": fields, "finish_reason": finish}]}


DONE = b"data: [DONE]"


def test_chunks_are_timed_as_they_come() -> None:
    assert read(text("a"), text("b"), DONE).chunks == [1.0, 2.0]


def test_the_answer_ends_with_done() -> None:
    answer = read(text("a"), DONE)
    assert (answer.end, answer.error) == (2.0, None)


def test_a_finish_reason_alone_completes_an_answer() -> None:
    answer = read(text("a", "stop"))
    assert (answer.end, answer.error, answer.finish_reason) == (1.0, None, "stop")


def test_done_alone_completes_an_answer() -> None:
    assert read(text("a"), DONE).error is None


def test_an_answer_that_just_stops_is_truncated() -> None:
    answer = read(text("a"), end=7.0)
    assert (answer.error, answer.end) == (Failure.TRUNCATED, 7.0)


def test_no_answer_at_all_is_truncated() -> None:
    assert read().error is Failure.TRUNCATED


def test_done_without_anything_before_it_is_no_answer() -> None:
    assert read(DONE).error is Failure.PROTOCOL


def test_the_greeting_with_the_role_is_no_token() -> None:
    assert read(delta(role="assistant", content=""), delta(content="a"), DONE).first_token == 2.0


@pytest.mark.parametrize("name", ["content", "reasoning_content", "reasoning", "tool_calls"])
def test_whatever_was_generated_is_a_token(name: str) -> None:
    assert read(delta(**{name: "x"}), DONE).first_token == 1.0


def test_an_answer_of_only_the_end_token_has_its_first_token_there() -> None:
    answer = read(text(""), text("", "stop"), DONE)
    assert (answer.first_token, answer.chunks, answer.error) == (2.0, [], None)


def test_usage_counts_the_tokens() -> None:
    usage = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 12}}
    answer = read(text("a", "stop"), usage, DONE)
    assert (answer.output_tokens, answer.prompt_tokens) == (12, 7)


def test_without_usage_the_chunks_count() -> None:
    assert read(text("a"), text("b", "stop"), DONE).output_tokens == 2


@pytest.mark.parametrize("found", [None, "7", -1, 2.5, 2**40, [], True])
def test_a_senseless_count_is_no_count(found: Any) -> None:
    usage = {"choices": [], "usage": {"prompt_tokens": found, "completion_tokens": found}}
    assert read(text("a", "stop"), usage, DONE).output_tokens == 1


@pytest.mark.parametrize(
    "line", [b": keepalive 3/9", b"", b"event: x", b"id: 4", b"retry: 1", b"\xff\xfe", b"dat"]
)
def test_other_lines_of_the_stream_are_skipped(line: bytes) -> None:
    answer = read(line, text("a"), DONE)
    assert (answer.first_token, answer.error) == (2.0, None)


def test_the_blank_after_the_colon_is_optional() -> None:
    line = b"data:" + json.dumps(text("a")).encode() + b"\r"
    assert read(line, b"data:[DONE]\r").error is None


@pytest.mark.parametrize(
    "line", [b"data: {", b"data: ", b"data: \xff", b"data: [1]", b"data: null", b"data: 7"]
)
def test_an_event_that_is_no_object_is_a_protocol_failure(line: bytes) -> None:
    assert read(line, DONE).error is Failure.PROTOCOL


@pytest.mark.parametrize(
    "event",
    [
        {"choices": None},
        {"choices": 3},
        {"choices": {"0": 1}},
        {"choices": [None, 3, "x"]},
        {"choices": [{"delta": None}]},
        {"choices": [{"delta": "x"}]},
        {"usage": [3]},
        {},
    ],
)
def test_an_event_of_another_shape_is_no_token(event: Any) -> None:
    assert read(event, text("a", "stop"), DONE).chunks == [2.0]


def test_an_error_event_fails_the_answer() -> None:
    answer = read(text("a"), {"error": {"message": "engine died"}}, DONE)
    assert (answer.error, "engine died" in answer.reason) == (Failure.SERVER, True)


def test_the_first_failure_is_the_one_that_counts() -> None:
    assert read({"error": "full"}, b"data: {").error is Failure.SERVER


def test_a_reason_is_kept_short() -> None:
    assert len(read({"error": "x" * 10_000}).reason) == 300


def test_what_comes_after_done_is_ignored() -> None:
    answer = read(text("a"), DONE, text("b"))
    assert (answer.chunks, answer.end) == ([1.0], 2.0)


@pytest.mark.parametrize("choice", [{"text": "ab"}, {"message": {"content": "ab"}}])
def test_a_whole_answer_has_an_end_and_no_first_token(choice: dict[str, Any]) -> None:
    found = {
        "choices": [{**choice, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    }
    answer = Completion()
    answer.read_body(json.dumps(found).encode(), 4.0)
    answer.close(5.0)
    assert (answer.end, answer.first_token, answer.output_tokens, answer.error) == (
        4,
        None,
        2,
        None,
    )


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}"])
def test_a_whole_answer_that_is_none_fails(body: bytes) -> None:
    answer = Completion()
    answer.read_body(body, 4.0)
    answer.close(5.0)
    assert answer.error is not None
