"""Rows of a load test as the client would have written them."""

from dataclasses import replace
from typing import Any

from resources.load.rows import RequestRow


def make_row(
    number: int = 0, *, intended: float, latency: float = 0.3, **changes: Any
) -> RequestRow:
    """An answered request of the steady window, its first token after a third of the latency."""
    first = intended + latency / 3
    row = RequestRow(
        number=number,
        phase="steady",
        prompt=0,
        intended=intended,
        sent=intended + 0.001,
        headers=intended + 0.002,
        first_token=first,
        chunks=(first, first + latency / 3, intended + latency),
        end=intended + latency,
        status=200,
        error=None,
        reason="",
        finish_reason="length",
        prompt_tokens=5,
        output_tokens=3,
    )
    return replace(row, **changes)
