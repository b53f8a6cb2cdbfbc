"""What a run waits for, said where people look: in its log, and beside its state in the lists."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from cloud_assets import keys
from resources.serving import OnWait

_LONGEST = 500


@contextmanager
def waiting(context: dg.AssetExecutionContext) -> Iterator[OnWait]:
    """Takes reasons in; what is the same as before is said once.

    A run that is killed leaves its last reason behind: it counts while the run is under way.
    """
    said = ""

    def say(reason: str) -> None:
        nonlocal said
        if reason != said:
            said = reason
            context.log.info(f"it waits: {reason}")
            _tag(context, reason)

    yield say
    if said:
        _tag(context, "")


def _tag(context: dg.AssetExecutionContext, reason: str) -> None:
    context.instance.add_run_tags(context.run.run_id, {keys.WAITS_TAG: reason[:_LONGEST]})
