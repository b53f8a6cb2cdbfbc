"""Promotion, withdrawal and tidying, killed between any two calls and done again."""

from dataclasses import dataclass, field

import pytest

from cloud_assets.keys import CANDIDATE, CHAMPION, PREVIOUS
from cloud_assets.serving.promotion import drop_stale_candidate, kept, promote, tidy, withdraw
from resources.mlflow import OUTCOME_TAG, Registration, Version
from resources.serving import Servable, Slot
from tests.doubles.crashes import Fuse, Killed
from tests.doubles.registry import MemoryRegistry
from tests.doubles.serving import MemoryServing


@dataclass
class World:
    """Checkpoints 1, 2, 3 … of the model `qa`, each registered and on a slot of its own."""

    registry: MemoryRegistry = field(default_factory=MemoryRegistry)
    serving: MemoryServing = field(default_factory=MemoryServing)

    def candidate(self, step: int) -> tuple[Version, Slot]:
        key = f"qa.run.{step}"
        wanted = Registration("qa", key, f"{step:064}", f"store:///{key}/", "run", step)
        version, _ = self.registry.register(wanted)
        self.registry.set_alias(version, CANDIDATE)
        return version, self.slot(version)

    def slot(self, version: Version) -> Slot:
        servable = Servable(version.key, "qa", version.digest, version.source, "mlx")
        return self.serving.serve(servable, timeout_seconds=1).slot

    def promote(self, step: int, fuse: Fuse | None = None) -> None:
        version = self.registry.version("qa", f"qa.run.{step}")
        version, slot = (version, self.slot(version)) if version else self.candidate(step)
        fuse = fuse or Fuse()
        promote(fuse.wrap(self.registry), fuse.wrap(self.serving), version, slot)

    @property
    def aliases(self) -> dict[str, str]:
        return self.registry.named("qa")

    @property
    def behind(self) -> str | None:
        route = self.serving.routes().get("qa")
        return route.key if route else None


@pytest.fixture
def world() -> World:
    return World()


def test_the_first_champion_has_nothing_before_it(world: World) -> None:
    world.promote(1)
    assert (world.aliases, world.behind) == ({CHAMPION: "qa.run.1"}, "qa.run.1")


def test_a_promotion_moves_aliases_and_endpoint(world: World) -> None:
    world.promote(1)
    world.promote(2)
    assert world.aliases == {CHAMPION: "qa.run.2", PREVIOUS: "qa.run.1"}
    assert world.behind == "qa.run.2"


def test_another_candidate_keeps_its_alias(world: World) -> None:
    world.candidate(1)
    world.candidate(2)
    world.promote(1)
    assert world.aliases == {CHAMPION: "qa.run.1", CANDIDATE: "qa.run.2"}


def test_promoting_again_changes_nothing(world: World) -> None:
    for step in (1, 2, 2, 2):
        world.promote(step)
    assert world.aliases == {CHAMPION: "qa.run.2", PREVIOUS: "qa.run.1"}


def test_a_rollback_and_another_lead_back(world: World) -> None:
    world.promote(1)
    world.promote(2)
    champions = []
    for _ in range(3):
        back = world.aliases[PREVIOUS]
        world.promote(int(back.rpartition(".")[2]))
        champions.append((world.aliases[CHAMPION], world.behind))
    assert champions == [("qa.run.1",) * 2, ("qa.run.2",) * 2, ("qa.run.1",) * 2]


# The calls of one promotion: lock, champion, previous, its time, champion, candidate, its
# removal, route.
@pytest.mark.parametrize("at", range(8))
def test_a_promotion_killed_anywhere_is_made_good_by_repeating_it(world: World, at: int) -> None:
    world.promote(1)
    world.candidate(2)
    with pytest.raises(Killed):
        world.promote(2, Fuse(at))
    world.promote(2)
    assert world.aliases == {CHAMPION: "qa.run.2", PREVIOUS: "qa.run.1"}
    assert world.behind == "qa.run.2"


def test_those_are_all_its_calls(world: World) -> None:
    world.promote(1)
    world.candidate(2)
    fuse = Fuse()
    world.promote(2, fuse)
    assert len(fuse.calls) == 8


@pytest.mark.parametrize("at", range(8))
def test_a_promotion_killed_anywhere_leaves_an_answering_endpoint(world: World, at: int) -> None:
    world.promote(1)
    world.candidate(2)
    with pytest.raises(Killed):
        world.promote(2, Fuse(at))
    keep = kept(world.registry, ["qa"], 1)
    tidy(world.serving, keep, set())
    assert world.behind in world.serving.up
    assert world.aliases[CHAMPION] in world.serving.up


@pytest.mark.parametrize("at", range(8))
def test_a_rollback_after_a_killed_promotion_goes_to_no_older_one(world: World, at: int) -> None:
    for step in (1, 2):
        world.promote(step)
    world.candidate(3)
    with pytest.raises(Killed):
        world.promote(3, Fuse(at))
    if world.aliases[CHAMPION] == "qa.run.3":
        assert world.aliases[PREVIOUS] == "qa.run.2"
    else:
        assert world.aliases[PREVIOUS] in {"qa.run.1", "qa.run.2"}


def test_a_withdrawn_candidate_loses_slot_and_alias(world: World) -> None:
    world.promote(1)
    version, slot = world.candidate(2)
    assert withdraw(world.registry, world.serving, version, drop_alias=True) == (slot.name,)
    assert world.aliases == {CHAMPION: "qa.run.1"}
    assert world.serving.up == ["qa.run.1"]


def test_a_held_candidate_keeps_its_alias(world: World) -> None:
    version, _ = world.candidate(2)
    withdraw(world.registry, world.serving, version, drop_alias=False)
    assert (world.aliases, world.serving.up) == ({CANDIDATE: "qa.run.2"}, [])


def test_what_is_behind_the_endpoint_is_not_withdrawn(world: World) -> None:
    world.promote(1)
    version = world.registry.version("qa", "qa.run.1")
    assert version is not None
    assert withdraw(world.registry, world.serving, version, drop_alias=True) == ()
    assert world.serving.up == ["qa.run.1"]


def test_the_champion_is_not_withdrawn_though_somebody_closed_its_endpoint(world: World) -> None:
    world.promote(1)
    champion = world.registry.alias("qa", CHAMPION)
    world.serving.route("qa", None)
    assert champion is not None
    assert withdraw(world.registry, world.serving, champion, drop_alias=True) == ()


def test_a_newer_candidate_keeps_its_alias_when_an_older_is_withdrawn(world: World) -> None:
    older, _ = world.candidate(1)
    world.candidate(2)
    withdraw(world.registry, world.serving, older, drop_alias=True)
    assert world.aliases == {CANDIDATE: "qa.run.2"}


@pytest.mark.parametrize("at", range(5))
def test_a_withdrawal_killed_anywhere_is_made_good_by_repeating_it(world: World, at: int) -> None:
    world.promote(1)
    version, _ = world.candidate(2)
    fuse = Fuse(at)
    with pytest.raises(Killed):
        withdraw(fuse.wrap(world.registry), fuse.wrap(world.serving), version, drop_alias=True)
    withdraw(world.registry, world.serving, version, drop_alias=True)
    assert (world.aliases, world.serving.up) == ({CHAMPION: "qa.run.1"}, ["qa.run.1"])


@pytest.mark.parametrize(
    ("keep_warm", "steps"), [(0, {3}), (1, {2, 3}), (2, {1, 2, 3}), (9, {1, 2, 3})]
)
def test_so_many_former_champions_are_kept(world: World, keep_warm: int, steps: set[int]) -> None:
    for step in (1, 2, 3):
        world.promote(step)
    found = kept(world.registry, ["qa"], keep_warm)
    assert found == {(f"qa.run.{step}", f"{step:064}") for step in steps}


def test_after_a_rollback_the_last_former_champions_are_kept(world: World) -> None:
    for step in (1, 2, 3, 4, 3):
        world.promote(step)
    found = {key for key, _ in kept(world.registry, ["qa"], 2)}
    assert found == {"qa.run.3", "qa.run.4", "qa.run.2"}


def test_a_candidate_that_nothing_works_on_loses_its_alias(world: World) -> None:
    world.candidate(1)
    assert drop_stale_candidate(world.registry, "qa", {"qa.run.1"}) is None
    assert drop_stale_candidate(world.registry, "qa", set()) == "qa.run.1"
    assert world.aliases == {}


def test_a_held_candidate_waits_with_its_alias(world: World) -> None:
    version, _ = world.candidate(1)
    world.registry.tag(version, {OUTCOME_TAG: "held"})
    assert drop_stale_candidate(world.registry, "qa", set()) is None


def test_tidying_leaves_what_is_kept_and_what_a_run_works_on(world: World) -> None:
    for step in (1, 2):
        world.promote(step)
    world.candidate(3)
    world.candidate(4)
    released = tidy(world.serving, kept(world.registry, ["qa"], 0), {"qa.run.4"})
    assert world.serving.up == ["qa.run.2", "qa.run.4"]
    assert len(released) == 2


def test_tidying_twice_releases_once(world: World) -> None:
    world.candidate(1)
    assert [len(tidy(world.serving, set(), set())) for _ in range(2)] == [1, 0]
