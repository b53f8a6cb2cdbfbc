"""Headers: what the safetensors library refuses is refused here, and two things more."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from safetensors import SafetensorError, safe_open

from cloud_assets.models.safetensors import Header, read_header
from tests.doubles.checkpoints import safetensors


def with_header(header: object, body: int) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + b"\0" * body


def tensor(**changes: Any) -> dict[str, Any]:
    return {"dtype": "U8", "shape": [8], "data_offsets": [0, 8], **changes}


def header_of(path: Path) -> Header:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return read_header(descriptor, path.stat().st_size)
    finally:
        os.close(descriptor)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def library_accepts(path: Path) -> bool:
    try:
        with safe_open(path, framework="np") as file:
            return len(file.keys()) >= 0
    except SafetensorError:
        return False


GOOD = {
    "two tensors": safetensors({"a": 4, "b": 12}),
    "an empty tensor": with_header({"a": tensor(), "b": tensor(shape=[0], data_offsets=[8, 8])}, 8),
    "a scalar": with_header({"a": tensor(dtype="F64", shape=[])}, 8),
    "any order": with_header({"b": tensor(data_offsets=[8, 16]), "a": tensor()}, 16),
    "padding": with_header(json.dumps({"a": tensor()}).encode() + b"   ", 8),
    "bfloat16": with_header({"a": tensor(dtype="BF16", shape=[2, 2])}, 8),
}
BAD = {
    "empty file": (b"", "truncated: 0 bytes"),
    "half a length": (b"\1\0\0", "truncated: 3 bytes"),
    "all zero": (b"\0" * 64, "the header is not JSON"),
    "header cut": (safetensors({"a": 4})[:20], "truncated: header says"),
    "body cut": (safetensors({"a": 1000})[:-1], "truncated: header says"),
    "trailing bytes": (safetensors({"a": 4}) + b"x", "trailing bytes: header says"),
    "huge length": ((1 << 60).to_bytes(8, "little") + b"{}", "the header claims 1,152,921,504"),
    "not JSON": (with_header(b"{nope}  ", 0), "the header is not JSON"),
    "a list": (with_header([1, 2], 0), "the header is not a JSON object"),
    "deep nesting": (with_header(b"{" + b'"a":' + b"[" * 100_000, 0), "the header is not JSON"),
    "invalid UTF-8": (with_header(b'{"\xff\xfe": 1}', 0), "the header is not JSON"),
    "hole": (with_header({"a": tensor(data_offsets=[4, 12])}, 12), "the first tensor starts at 4"),
    "hole inside": (
        with_header({"a": tensor(), "b": tensor(data_offsets=[9, 17])}, 17),
        "tensors leave a hole at byte 8",
    ),
    "overlap": (
        with_header({"a": tensor(), "b": tensor(data_offsets=[4, 12])}, 12),
        "tensors overlap at byte 8",
    ),
    "wrong shape": (with_header({"a": tensor(shape=[9])}, 8), "tensor 'a' needs 9 bytes"),
    "unknown dtype": (with_header({"a": tensor(dtype="O8")}, 8), "the unknown dtype 'O8'"),
    "negative shape": (with_header({"a": tensor(shape=[-1, -8])}, 8), "not sizes"),
    "shape of text": (with_header({"a": tensor(shape=["8"])}, 8), "not sizes"),
    "no offsets": (with_header({"a": {"dtype": "U8", "shape": [8]}}, 8), "is not dtype, shape and"),
    "metadata of numbers": (
        with_header({"__metadata__": {"a": 1}, "a": tensor()}, 8),
        "`__metadata__` is not an object of strings",
    ),
}
STRICTER = {
    "duplicate name": (
        with_header(
            b'{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},'
            b'"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}',
            8,
        ),
        "the header names 'a' twice",
    ),
    "no tensor": (with_header({}, 0), "the header names no tensor"),
    "too many tensors": (with_header(b"{" * 1_000_100, 0), "more than 1,000,000 tensors"),
    "rank": (with_header({"a": tensor(shape=[8, *[1] * 64])}, 8), "not sizes"),
}


@pytest.mark.parametrize("content", GOOD.values(), ids=GOOD)
def test_a_file_the_library_accepts_is_accepted(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    assert (library_accepts(path), header_of(path).flaw) == (True, None)


@pytest.mark.parametrize(("content", "flaw"), BAD.values(), ids=BAD)
def test_a_file_the_library_refuses_is_refused_with_a_reason(
    path: Path, content: bytes, flaw: str
) -> None:
    path.write_bytes(content)

    assert not library_accepts(path)
    assert flaw in str(header_of(path).flaw)


@pytest.mark.parametrize(("content", "flaw"), STRICTER.values(), ids=STRICTER)
def test_what_the_library_lets_pass_is_refused_too(path: Path, content: bytes, flaw: str) -> None:
    path.write_bytes(content)

    assert flaw in str(header_of(path).flaw)


def test_a_truncated_file_is_told_by_both_sizes(path: Path) -> None:
    whole = safetensors({"a": 1000})
    path.write_bytes(whole[:1000])

    flaw = header_of(path).flaw

    assert flaw == f"truncated: header says {len(whole):,} bytes, file has 1,000"


def test_every_cut_of_a_file_is_noticed(path: Path) -> None:
    whole = safetensors({"a": 4, "b": 12})
    flaws = []
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        flaws.append(header_of(path).flaw)

    assert all(flaws)


def test_the_names_of_the_tensors_are_returned(path: Path) -> None:
    path.write_bytes(safetensors({"a": 4, "b": 12}))

    assert header_of(path).tensors == {"a", "b"}
