"""Templates into HTML; the one place where it is decided what is escaped.

What stands on a page is `page`'s business.
"""

import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloud_assets.reports.units import duration, probability, significant, size

if TYPE_CHECKING:
    from jinja2 import Environment

# The joiners belong to the spelling of Persian and of emoji, and reorder nothing.
KEPT = frozenset("\n\t\u200c\u200d")


def shown(value: object, limit: int = 400) -> str:
    """`value` cut at `limit` characters, and then with its whole length."""
    text = str(value)
    return text if len(text) <= limit else f"{text[:limit]} … ({len(text):,} characters)"


def _readable(value: object) -> object:
    """Every text on its way into a page: control and direction characters as signs to be seen."""
    from markupsafe import Markup

    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "".join(map(_visible, value))


def _visible(character: str) -> str:
    if character in KEPT or not unicodedata.category(character).startswith("C"):
        return character
    return chr(0x2400 + ord(character)) if ord(character) < 0x20 else "\ufffd"


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_readable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        shown=shown,
        duration=duration,
        size=size,
        figure=significant,
        probability=probability,
    )
    return environment


def rendered(template: str, **context: Any) -> str:
    """The page that a file below `templates/` makes of `context`."""
    return _environment().get_template(template).render(context)


def marked(drawn: Sequence[str]) -> list[str]:
    """Our own figures, which are markup; the only texts that are not escaped."""
    from markupsafe import Markup

    return [Markup(svg) for svg in drawn]
