"""All clusters started one after the other; where one fails, what was off before is off again.

It may be killed at any moment: what was off before the first attempt is kept in a file (`before`),
and whoever starts the system next goes on, and on a failure puts back that.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from cloud_assets.machines.applying.progress import Step
from cloud_assets.machines.converge import Result, require_success
from cloud_assets.machines.desired import Cluster
from cloud_assets.machines.plan import Plan
from cloud_assets.machines.power import before
from cloud_assets.machines.power.before import Before
from cloud_assets.machines.power.execution import Ground, carry_out
from cloud_assets.machines.power.request import Action, Request
from cloud_assets.machines.power.starting import await_ssh, make
from resources.errors import AiHowError, NeedsRepair
from resources.libvirt import Connection, observe

#: Told of each cluster that was changed, with its plan and what became of it.
Made = Callable[[Cluster, Plan, Sequence[Result]], None]

_NAME = "system"


def _nobody(_: Cluster, __: Plan, ___: Sequence[Result]) -> None:
    """Where nobody keeps what was made."""


def start(ground: Ground, home: Path, made: Made = _nobody) -> None:
    """HPC, then cloud, each waited for; nothing is changed where all is as it should be.

    Raises NeedsRepair once what was off before is off again, or with what could not be put back.
    """
    with before.alone(home), ground.host.connected() as connection:
        current = before.now(ground.host.settings.uri, _states(connection, ground))
        found = before.remembered(home, current)
        if found is not current:
            ground.told(Step(_NAME, "start", f"goes on with what began at {found.since}"))
        try:
            for each in ground.host.desired.clusters:
                _bring_up(connection, each, ground, made)
        except AiHowError as error:
            raise _put_back(connection, ground, found, home, error) from error
        before.forget(home)


def _bring_up(connection: Connection, cluster: Cluster, ground: Ground, made: Made) -> None:
    whole = ground.host.plan(connection)
    plan = whole.of([each.name for each in whole.pending if each.cluster == cluster.name])
    results = make(connection, cluster, plan, ground)
    if results:
        made(cluster, plan, results)
    require_success(results)
    await_ssh(connection, cluster.machines, ground)


def _put_back(
    connection: Connection, ground: Ground, found: Before, home: Path, error: AiHowError
) -> NeedsRepair:
    """What was made stays as it is; what cannot be put back now may be later."""
    try:
        states = _states(connection, ground)
        started = tuple(sorted(name for name in found.off if states.get(name)))
        if started:
            ground.told(Step(_NAME, "take back", f"stop {', '.join(started)}"))
            carry_out(Request(Action.stop, started), ground)
        before.forget(home)
        back = f"off again: {', '.join(started)}" if started else "nothing else was started"
    except AiHowError as problem:
        back = f"not all was put back: {problem}"
    return NeedsRepair("the system", "start", f"{error}; {back}", hint=error.hint)


def _states(connection: Connection, ground: Ground) -> dict[str, bool]:
    """Whether each machine of the file is on."""
    active = {each.name for each in observe(connection).domains if each.is_active}
    return {each.name: each.name in active for each in ground.host.desired.machines}
