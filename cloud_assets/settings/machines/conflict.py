"""What is wrong between values that are each right alone, and where it is told."""

from dataclasses import dataclass

from cloud_assets.settings.machines.roster import Location


@dataclass(frozen=True)
class Conflict:
    """`where` is below `clusters`; `text` says what is wrong and how to mend it."""

    where: Location
    text: str
