"""Figures as inline SVG in one calm style that follows the page into the dark.

Which figures there are is `figures`' business. Colours are drawn as the keys of a palette and leave
here as CSS variables with a fallback that is readable on white and on black, for use without the
page. Text stays text, in the reader's own font.
"""

import hashlib
import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart with any colour vision; name -> (as drawn, fallback).
PALETTE = {
    "ink": ("#010101", "#6b7280"),
    "muted": ("#020202", "#8a929e"),
    "grid": ("#030303", "#9ca3af40"),
    "main": ("#040404", "#0072b2"),
    "other": ("#050505", "#e69f00"),
    "bound": ("#060606", "#d55e00"),
    "good": ("#070707", "#009e73"),
    "shade": ("#080808", "#9ca3af"),
    "page": ("#090909", "none"),
}
INK, MUTED, GRID, MAIN, OTHER, BOUND, GOOD, SHADE, PAGE = (drawn for drawn, _ in PALETTE.values())

WIDTH, HEIGHT = 420, 230
FONT = "system-ui, -apple-system, Segoe UI, Roboto, sans-serif"

# Matplotlib's settings are the whole process's; one figure at a time changes them.
_LOCK = RLock()


@contextmanager
def drawing(height: int = HEIGHT) -> Iterator["Figure"]:
    """An empty figure of 420 units' width, to be drawn and rendered inside the block."""
    import matplotlib
    from matplotlib.figure import Figure

    with _LOCK, matplotlib.rc_context(_settings()):
        yield Figure(figsize=(WIDTH / 72, height / 72), layout="constrained")


def render(figure: "Figure", description: str) -> str:
    """The figure as one `<svg>` element that screen readers announce as `description`."""
    target = io.StringIO()
    figure.savefig(target, format="svg", transparent=True, metadata={"Date": None})
    text = target.getvalue()
    view = re.search(r'viewBox="[^"]*"', text)
    body = text[text.index(">", text.index("<svg")) + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r'<g id="[^"]*">', "<g>", body)
    body = re.sub(r'\b(?:d|x|y|transform)="[^"]*"', _rounded, body)
    body = re.sub(r'\bstyle="[^"]*"', _restyled, body)
    # Ids are one space for the whole page.
    prefix = "f" + hashlib.sha256(description.encode()).hexdigest()[:8]
    body = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}", body)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'{view.group() if view else ""} role="img" stroke-linejoin="round" '
        f'aria-label="{escape(description)}">{body.strip()}'
    )


def _rounded(attribute: re.Match[str]) -> str:
    return re.sub(r"\s+", " ", re.sub(r"(\.\d\d)\d+", r"\1", attribute.group()))


def _restyled(attribute: re.Match[str]) -> str:
    """Colours of the palette and the reader's font instead of what the figure was measured with."""
    text = re.sub(r"(font: [0-9.]+px )[^;\"]*", rf"\g<1>{FONT}", attribute.group())
    text = re.sub(r"font-family: [^;\"]*", f"font-family: {FONT}", text)
    for name, (drawn, fallback) in PALETTE.items():
        text = text.replace(drawn, f"var(--{name}, {fallback})")
    return text


def placeholder(message: str) -> str:
    """A figure that says why there is nothing to see."""
    with drawing(96) as figure:
        figure.text(0.5, 0.5, message, ha="center", va="center", color=MUTED)
        return render(figure, message)


def plain(text: str, limit: int = 32) -> str:
    """A label that every font has and that cannot crowd the figure out."""
    ascii_only = "".join(c if " " <= c <= "~" else "?" for c in text)
    return ascii_only if len(ascii_only) <= limit else ascii_only[: limit - 1] + "…"


def thinned(values: Sequence[object], most: int = 400) -> list[int]:
    """Indices of at most `most` of the values, evenly spread, first and last among them."""
    if len(values) <= most:
        return list(range(len(values)))
    return [round(place * (len(values) - 1) / (most - 1)) for place in range(most)]


def finite(value: float | None) -> TypeGuard[float]:
    """Whether there is a value that can be drawn."""
    return value is not None and math.isfinite(value)


def _settings() -> Any:
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": "ai-how",
        "text.parse_math": False,
        "font.family": "DejaVu Sans",
        "font.size": 11,
        "axes.titlesize": 11,
        "axes.titlelocation": "left",
        "axes.labelsize": 11,
        "axes.labelcolor": INK,
        "axes.edgecolor": MUTED,
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.formatter.useoffset": False,
        "grid.color": GRID,
        "grid.linewidth": 0.8,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "xtick.major.pad": 5,
        "ytick.major.pad": 5,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "xtick.labelsize": 10.5,
        "ytick.labelsize": 10.5,
        "legend.frameon": False,
        "legend.fontsize": 10.5,
        "legend.labelcolor": INK,
        "text.color": INK,
        "lines.linewidth": 1.8,
        # In inches; without a margin the last tick label is cut at the edge.
        "figure.constrained_layout.w_pad": 0.08,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
    }
