"""Figures as people read them: three digits, the unit beside them."""

import math

from cloud_assets.documents import Interval


def duration(seconds: float | None) -> str:
    """`12.3 ms`, `1.46 s`, `2 min 05 s`; a dash where nothing was measured, `∞` for never."""
    if seconds is None or not math.isfinite(seconds):
        return "–" if seconds is None or math.isnan(seconds) else "∞"
    if seconds >= 59.95:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest:02d} s"
    if abs(seconds) < 0.9995 and seconds != 0:
        return f"{significant(seconds * 1000)} ms"
    return f"{significant(seconds)} s"


def share(value: float | None) -> str:
    """`93.3 %`, from a share of 1."""
    return "–" if value is None else f"{100 * value:.1f}".removesuffix(".0") + " %"


def share_interval(interval: Interval) -> str:
    """`84.1–97.4 %`, the bounds alone."""
    return f"{share(interval.low).removesuffix(' %')}–{share(interval.high)}"


def quantity(value: float | None, unit: str) -> str:
    """A figure in the unit of a target: `s` and `share` in their own way, all others as named."""
    if value is None:
        return "–"
    if unit == "s":
        return duration(value)
    if unit in ("", "share"):
        return share(value)
    return f"{significant(value)} {unit}"


def between(interval: Interval, unit: str) -> str:
    """`151 – 187 ms`: the bounds, with the unit once where both have the same."""
    low, high = quantity(interval.low, unit), quantity(interval.high, unit)
    if low.partition(" ")[2] == high.partition(" ")[2]:
        low = low.partition(" ")[0]
    return f"{low} – {high}"


def size(count: int) -> str:
    """`1.32 MB`, decimal as disks are sold."""
    value, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{significant(value)} {unit}"


def probability(value: float) -> str:
    """`p = 0.0123`, `p < 0.0001`."""
    if value < 0.0001:
        return "p < 0.0001"
    return f"p = {value:.4f}" if value < 0.01 else f"p = {value:.2f}"


def significant(value: float) -> str:
    """Three significant digits without an exponent, `12,345` in full, no zeros left over."""
    magnitude = abs(value)
    if magnitude >= 99.95:
        return f"{value:,.0f}"
    digits = 1 if magnitude >= 9.995 else 2 if magnitude >= 0.9995 else 3
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") or "0"
