"""What came of trying a service out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NewType

#: One thing that a service does not do, in a sentence without a full stop.
Problem = NewType("Problem", str)


@dataclass(frozen=True)
class Outcome:
    """Whether it does what it is for; `why` where it does not, and the figures that were seen.

    `severe` is whether a failure says that what stands upon the service would not work either.
    """

    passed: bool
    why: str = ""
    figures: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    severe: bool = True


def of(problems: Sequence[Problem], **figures: str | int | float | bool) -> Outcome:
    """Passed where there are no problems."""
    return Outcome(not problems, "; ".join(problems), figures)


def warning(problem: Problem, **figures: str | int | float | bool) -> Outcome:
    """Not as it should be, and nothing that keeps anybody waiting."""
    return Outcome(False, problem, figures, severe=False)
