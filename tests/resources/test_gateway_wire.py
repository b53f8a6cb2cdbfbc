"""Only the model's name of a body changes; what names no model is told apart from what does."""

import json

import pytest

from resources.gateway.wire import BadRequest, is_cut_off, read_request


def test_everything_but_the_name_stays_as_it_was() -> None:
    body = (
        b'{ "n":1e400 ,"model" :\t"a" ,"text":"\\ud83d\\ude00 \xc3\xbc","x":[0.10,{"model":"a"}]} '
    )
    assert read_request(body).addressed_to("b") == body.replace(b':\t"a"', b':\t"b"')


def test_the_name_is_read() -> None:
    assert read_request(b'{"messages":[{"model":"no"}],"model":"yes"}').model == "yes"


def test_every_doubled_name_is_replaced_since_readers_differ_in_which_they_take() -> None:
    rewritten = read_request(b'{"model":"a","model":"b"}').addressed_to("c")
    assert rewritten == b'{"model":"c","model":"c"}'


def test_an_escaped_key_is_the_same_key() -> None:
    assert json.loads(read_request(b'{"mode\\u006c":"a"}').addressed_to("b")) == {"model": "b"}


def test_blanks_in_a_key_make_another_key() -> None:
    with pytest.raises(BadRequest, match="names no"):
        read_request(b'{" model":"a"}')


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"model"',
        b"{}",
        b'{"model"}',
        b'{"model":}',
        b'{"model":"a"',
        b'{"model":"a",}',
        b'{"model":"a"} x',
        b'{"model":"a"}{"model":"b"}',
        b'{"model":null}',
        b'{"model":7}',
        b'{"model":""}',
        b"\xff\xfe",
        b'{"model":"a","x":' + b"[" * 100_000,
    ],
)
def test_a_body_without_a_model_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read_request(body)


@pytest.mark.parametrize("name", ["adapters", "draft_model"])
def test_fields_that_would_load_another_model_are_refused(name: str) -> None:
    with pytest.raises(BadRequest, match=name):
        read_request(json.dumps({"model": "a", name: "/etc"}).encode())


@pytest.mark.parametrize(
    ("path", "content_type", "tail", "expected"),
    [
        ("/v1/completions", "text/event-stream", b'data: {"a":1}\n\n', True),
        ("/v1/completions", "text/event-stream", b"data: [DONE]\n\n", False),
        ("/v1/completions", "application/json", b"{}", False),
        ("/v1/responses", "text/event-stream", b"event: response.completed\n\n", False),
    ],
)
def test_a_stream_without_its_last_event_is_cut_off(
    path: str, content_type: str, tail: bytes, expected: bool
) -> None:
    assert is_cut_off(path, content_type, tail) is expected
