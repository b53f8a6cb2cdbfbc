"""The raw record of a load test: one row a request, as JSON lines while it runs, then as Parquet.

What the rows mean for a verdict is the business of the room that asked for them.
"""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from resources.errors import PermanentError


class Failure(StrEnum):
    """Why a request counts as failed.

    `truncated`: the answer ended without `[DONE]` and without a finish reason, or the connection
    broke inside it. `server`: an error event inside a stream that began well. `protocol`: the
    answer was not HTTP, or not what the OpenAI API describes.
    """

    REFUSED = "refused"
    CONNECTION = "connection"
    TIMEOUT = "timeout"
    HTTP = "http"
    TRUNCATED = "truncated"
    SERVER = "server"
    PROTOCOL = "protocol"


@dataclass(frozen=True)
class RequestRow:
    """One request. Times are seconds after the start of the run, on one monotonic clock.

    `number` and `prompt` are the places in the plan; `intended` is when the schedule wanted it
    sent, `sent` when it was; `headers` when the status line and headers were there; `first_token`
    the first content; `chunks` every piece of content (of a streamed answer); `end` the last byte
    that belongs to the answer, or the failure. `output_tokens` is the server's `usage`, else the
    number of chunks. `error` is a `Failure`, None for success.
    """

    number: int
    phase: str
    prompt: int
    intended: float
    sent: float
    headers: float | None
    first_token: float | None
    chunks: tuple[float, ...]
    end: float
    status: int | None
    error: str | None
    reason: str
    finish_reason: str | None
    prompt_tokens: int | None
    output_tokens: int

    @property
    def ok(self) -> bool:
        """Whether it was answered in full."""
        return self.error is None

    @property
    def latency(self) -> float:
        """Seconds from the intended send time to the end."""
        return self.end - self.intended

    @property
    def ttft(self) -> float | None:
        """Seconds from the intended send time to the first content."""
        return None if self.first_token is None else self.first_token - self.intended

    @property
    def send_lag(self) -> float:
        """Seconds by which the client was late."""
        return self.sent - self.intended


def to_line(row: RequestRow) -> str:
    """The row as one line of JSON."""
    return json.dumps(asdict(row), separators=(",", ":")) + "\n"


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON-lines file; a last line that a kill cut short is left out."""
    try:
        text = path.read_text("utf-8", errors="replace")
    except FileNotFoundError:
        return
    complete, _, _ = text.rpartition("\n")
    for number, line in enumerate(complete.splitlines(), start=1):
        try:
            found = json.loads(line)
        except json.JSONDecodeError as error:
            raise PermanentError(
                "the load test client", "leave its rows", f"{path}:{number} is not JSON"
            ) from error
        yield found


def from_object(found: dict[str, Any]) -> RequestRow:
    """The row that `to_line` wrote."""
    return RequestRow(**{**found, "chunks": tuple(found["chunks"])})


def write_parquet(rows: Iterable[RequestRow], path: Path) -> None:
    """Write the rows, in the order of their numbers, atomically: `path` is whole or unchanged."""
    import pyarrow
    import pyarrow.parquet

    ordered = sorted(rows, key=lambda row: row.number)
    columns = {
        field.name: [getattr(row, field.name) for row in ordered] for field in fields(RequestRow)
    }
    table = pyarrow.table(columns, schema=_schema())
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        pyarrow.parquet.write_table(table, temporary, compression="zstd")
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise PermanentError(
            "the local disk", f"take {path}", error.strerror or str(error)
        ) from error


def read_parquet(path: Path) -> tuple[RequestRow, ...]:
    """The rows that `write_parquet` wrote. Raises PermanentError when the file is not that."""
    import pyarrow
    import pyarrow.parquet

    try:
        found = pyarrow.parquet.read_table(path, schema=_schema()).to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise PermanentError("the rows of a load test", "be read", f"{path}: {error}") from error
    return tuple(from_object(row) for row in found)


def _schema() -> Any:
    import pyarrow

    types = {
        "number": pyarrow.int32(),
        "phase": pyarrow.string(),
        "prompt": pyarrow.int32(),
        "chunks": pyarrow.list_(pyarrow.float64()),
        "status": pyarrow.int32(),
        "error": pyarrow.string(),
        "reason": pyarrow.string(),
        "finish_reason": pyarrow.string(),
        "prompt_tokens": pyarrow.int32(),
        "output_tokens": pyarrow.int32(),
    }
    return pyarrow.schema(
        [(field.name, types.get(field.name, pyarrow.float64())) for field in fields(RequestRow)]
    )
