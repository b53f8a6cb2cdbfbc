"""Who gets the GPU: simulated weeks of work show that it neither flaps nor starves anybody."""

import random
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from cloud_assets.machines.gpus.demand import SIDES, Demand, Rules, Side, decide

RULES = Rules(hold_seconds=600, patience_seconds=3600, settle_seconds=30)
NONE = Demand()
WAITS = Demand(pending=1, waits_seconds=60)
LONG = Demand(pending=1, waits_seconds=4000)
WORKS = Demand(running=1)


@pytest.mark.parametrize(
    ("hpc", "cloud", "owner", "held", "to"),
    [
        (NONE, NONE, None, 0, None),
        (NONE, NONE, "hpc", 10_000, None),
        (WAITS, NONE, None, 0, "hpc"),
        (WAITS, LONG, None, 0, "cloud"),
        (Demand(pending=1, waits_seconds=10), NONE, None, 0, None),
        (NONE, WAITS, "hpc", 599, None),
        (NONE, WAITS, "hpc", 601, "cloud"),
        (WAITS, NONE, "hpc", 10_000, None),
        (WORKS, WAITS, "hpc", 10_000, None),
        (WORKS, LONG, "hpc", 10_000, "cloud"),
        (WORKS, LONG, "hpc", 1000, None),
    ],
)
def test_one_moment(
    hpc: Demand, cloud: Demand, owner: Side | None, held: float, to: Side | None
) -> None:
    assert decide(hpc, cloud, owner=owner, held_seconds=held, rules=RULES).to == to


@dataclass
class Job:
    side: Side
    arrived: float
    seconds: float
    began: float | None = None


@dataclass
class Simulation:
    """One GPU, jobs of both sides one at a time, and a look at them every `tick` seconds."""

    jobs: list[Job]
    tick: float = 30.0
    now: float = 0.0
    owner: Side | None = None
    since: float = 0.0
    switches: list[float] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)

    def run(self) -> None:
        end = max(each.arrived + each.seconds for each in self.jobs) + 500_000
        while any(each.seconds > 0 for each in self.jobs) and self.now < end:
            self._decide()
            self._work()
            self.now += self.tick

    def _decide(self) -> None:
        hpc, cloud = (self._demand(each) for each in SIDES)
        held = self.now - self.since
        ruling = decide(hpc, cloud, owner=self.owner, held_seconds=held, rules=RULES)
        if ruling.to is not None:
            assert ruling.to != self.owner
            self.owner, self.since = ruling.to, self.now
            self.switches.append(self.now)

    def _demand(self, side: Side) -> Demand:
        waiting = [
            self.now - each.arrived
            for each in self.jobs
            if each.side == side and each.arrived <= self.now and each.seconds > 0
        ]
        if side == self.owner and waiting:
            return Demand(len(waiting) - 1, 1, max(waiting))
        return Demand(len(waiting), 0, max(waiting, default=0))

    def _work(self) -> None:
        ready = (each for each in self.jobs if each.side == self.owner
                 and each.arrived <= self.now and each.seconds > 0)  # fmt: skip
        job = next(ready, None)
        if job is None:
            return
        if job.began is None:
            job.began = self.now
            self.waited.append(self.now - job.arrived)
        job.seconds -= self.tick


def simulated(seed: int) -> Simulation:
    chance = random.Random(seed)
    often, long = chance.choice((300, 3000, 20_000)), chance.choice((60, 900, 9000))
    jobs, now = [], 0.0
    for _ in range(chance.randrange(5, 60)):
        now += chance.expovariate(1 / often)
        jobs.append(Job(chance.choice(SIDES), now, chance.uniform(1, 2 * long)))
    found = Simulation(jobs)
    found.run()
    return found


@pytest.mark.parametrize("seed", range(60))
def test_it_never_changes_hands_twice_within_the_hold_time(seed: int) -> None:
    moments = simulated(seed).switches
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    assert all(gap >= RULES.hold_seconds for gap in gaps)


@pytest.mark.parametrize("seed", range(60))
def test_everybody_is_served_in_the_end(seed: int) -> None:
    assert all(each.began is not None for each in simulated(seed).jobs)


def test_a_side_that_never_stops_working_does_not_starve_the_other() -> None:
    endless = [Job("hpc", 0, 100 * 3600)]
    one = Job("cloud", 1000, 60)
    Simulation([*endless, one]).run()
    assert one.began is not None
    assert one.began - one.arrived <= RULES.patience_seconds + 60


def test_work_that_is_gone_at_once_moves_nothing() -> None:
    world = Simulation([Job("hpc", 0, 1000), *(Job("cloud", 100 * n, 1) for n in range(5))])
    world.owner = "hpc"
    world.run()
    assert len(world.switches) <= 2
