"""What is handed to the registry and what comes back; how it is kept is `registry`'s business."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Registration:
    """A published checkpoint to be registered; `source` is the URL of its directory.

    `history` holds the trainer's figures as (name, step, value).
    """

    model: str
    key: str
    digest: str
    source: str
    run: str
    step: int
    tags: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    history: Sequence[tuple[str, int, float]] = ()


@dataclass(frozen=True)
class Version:
    """A registered version with what is needed to find its checkpoint and its metrics.

    `outcome` is what its last release decided, empty before the first; `promoted_at` the moment
    (ISO 8601) when it last became champion, empty if never.
    """

    model: str
    number: int
    key: str
    digest: str
    source: str
    run_id: str
    model_id: str
    outcome: str = field(default="", compare=False)
    promoted_at: str = field(default="", compare=False)
