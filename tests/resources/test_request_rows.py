"""Raw rows of a load test, to Parquet and back."""

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet
import pytest

from resources.errors import PermanentError
from resources.load.rows import (
    RequestRow,
    from_object,
    read_lines,
    read_parquet,
    to_line,
    write_parquet,
)

ROW = RequestRow(
    number=0,
    phase="steady",
    prompt=2,
    intended=1.0,
    sent=1.01,
    headers=1.02,
    first_token=1.1,
    chunks=(1.1, 1.2),
    end=1.25,
    status=200,
    error=None,
    reason="",
    finish_reason="length",
    prompt_tokens=5,
    output_tokens=2,
)
FAILED = replace(
    ROW,
    number=1,
    headers=None,
    first_token=None,
    chunks=(),
    status=None,
    error="refused",
    reason="no\u2028body\n",
    finish_reason=None,
    prompt_tokens=None,
    output_tokens=0,
)


def test_a_row_survives_its_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(to_line(ROW) + to_line(FAILED), "utf-8")
    assert [from_object(found) for found in read_lines(path)] == [ROW, FAILED]


def test_a_line_that_a_kill_cut_short_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(to_line(ROW) + to_line(FAILED)[:-5], "utf-8")
    assert len(list(read_lines(path))) == 1


def test_rows_never_written_are_no_rows(tmp_path: Path) -> None:
    assert list(read_lines(tmp_path / "rows.jsonl")) == []


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(to_line(ROW) + "{\n" + to_line(ROW), "utf-8")
    with pytest.raises(PermanentError, match=r"rows\.jsonl:2 is not JSON"):
        list(read_lines(path))


def test_rows_survive_parquet_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "requests.parquet"
    write_parquet([FAILED, ROW], path)
    assert read_parquet(path) == (ROW, FAILED)


def test_no_rows_make_a_file_with_the_same_columns(tmp_path: Path) -> None:
    write_parquet([], tmp_path / "none.parquet")
    write_parquet([ROW], tmp_path / "some.parquet")
    none, some = (
        pyarrow.parquet.read_schema(tmp_path / f"{name}.parquet") for name in ("none", "some")
    )
    assert none.equals(some)


def test_writing_again_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "requests.parquet"
    write_parquet([ROW, FAILED], path)
    write_parquet([ROW], path)
    assert ([p.name for p in tmp_path.iterdir()], len(read_parquet(path))) == ([path.name], 1)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="absent"):
        write_parquet([ROW], tmp_path / "absent" / "requests.parquet")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet at all" * 10])
def test_a_file_that_is_not_parquet_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "requests.parquet"
    path.write_bytes(content)
    with pytest.raises(PermanentError, match=r"requests\.parquet"):
        read_parquet(path)


def test_latencies_run_from_the_intended_time() -> None:
    assert ROW.ttft is not None
    assert (round(ROW.latency, 6), round(ROW.ttft, 6), round(ROW.send_lag, 6)) == (0.25, 0.1, 0.01)


def test_a_row_without_a_token_has_no_ttft() -> None:
    assert FAILED.ttft is None
