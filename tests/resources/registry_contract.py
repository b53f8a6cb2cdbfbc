"""What every registry must do, as a class of tests to inherit; a subclass gives `registry`."""

from dataclasses import replace

from resources.mlflow import OUTCOME_TAG, PROMOTED_TAG, Registration, Registry

FIRST = Registration(
    model="qa",
    key="qa.run.100",
    digest="a" * 64,
    source="s3://bucket/checkpoints/qa.run.100/ffffffffffffffff/model/",
    run="run",
    step=100,
)
LATER = replace(FIRST, key="qa.run.200", digest="b" * 64, step=200)
REWRITTEN = replace(FIRST, digest="c" * 64)


class RegistryContract:
    """Inherited by `Test…` classes; a registry may be shared, so each test has its own model."""

    def test_a_registration_is_found_by_its_key(self, registry: Registry) -> None:
        version, made = registry.register(replace(FIRST, model="found"))
        assert made
        assert (version.key, version.digest, version.source) == (
            FIRST.key,
            FIRST.digest,
            FIRST.source,
        )
        assert registry.version("found", FIRST.key) == version

    def test_registering_again_makes_nothing(self, registry: Registry) -> None:
        wanted = replace(FIRST, model="again")
        first, _ = registry.register(wanted)
        assert registry.register(wanted) == (first, False)

    def test_a_rewritten_checkpoint_is_another_version_and_the_newest(
        self, registry: Registry
    ) -> None:
        first, _ = registry.register(replace(FIRST, model="rewritten"))
        second, made = registry.register(replace(REWRITTEN, model="rewritten"))
        assert (made, second.number > first.number) == (True, True)
        assert registry.version("rewritten", FIRST.key) == second

    def test_the_version_of_certain_bytes_is_found(self, registry: Registry) -> None:
        first, _ = registry.register(replace(FIRST, model="bytes"))
        registry.register(replace(REWRITTEN, model="bytes"))
        assert registry.version("bytes", FIRST.key, FIRST.digest) == first
        assert registry.version("bytes", FIRST.key, "d" * 64) is None

    def test_what_was_never_registered_is_not_found(self, registry: Registry) -> None:
        assert registry.version("nothing", "nothing.run.1") is None
        assert registry.alias("nothing", "champion") is None

    def test_an_alias_names_one_version_and_moves(self, registry: Registry) -> None:
        first, _ = registry.register(replace(FIRST, model="moves"))
        second, _ = registry.register(replace(LATER, model="moves"))
        registry.set_alias(first, "champion")
        registry.set_alias(second, "champion")
        found = registry.alias("moves", "champion")
        assert found is not None
        assert found.key == LATER.key

    def test_a_version_may_have_several_aliases(self, registry: Registry) -> None:
        version, _ = registry.register(replace(FIRST, model="several"))
        for alias in ("champion", "previous"):
            registry.set_alias(version, alias)
        found = [registry.alias("several", alias) for alias in ("champion", "previous")]
        assert [each and each.number for each in found] == [version.number] * 2

    def test_a_removed_alias_names_nothing(self, registry: Registry) -> None:
        version, _ = registry.register(replace(FIRST, model="removed"))
        registry.set_alias(version, "candidate")
        for _ in range(2):
            registry.delete_alias("removed", "candidate")
        assert registry.alias("removed", "candidate") is None

    def test_figures_tags_and_texts_can_be_kept_again_and_again(self, registry: Registry) -> None:
        version, _ = registry.register(replace(FIRST, model="kept"))
        for _ in range(2):
            registry.log(version, {"accuracy": 0.5}, dataset="capitals")
            registry.tag(version, {"ai-how.outcome": "held"})
            address = registry.attach(version, "report.html", "<p>good</p>")
        assert address.startswith(registry.page(version))

    def test_a_version_is_found_by_its_number(self, registry: Registry) -> None:
        version, _ = registry.register(replace(FIRST, model="numbered"))
        assert registry.numbered("numbered", version.number) == version
        assert registry.numbered("numbered", version.number + 1) is None
        assert registry.numbered("unheard-of", 1) is None

    def test_those_that_were_promoted_come_newest_first(self, registry: Registry) -> None:
        made = [
            registry.register(replace(FIRST, model="promoted", digest=mark * 64))[0]
            for mark in "abc"
        ]
        for version, when in zip(made[:2], ("2026-01-02", "2026-01-01"), strict=True):
            registry.tag(version, {PROMOTED_TAG: when})
        found = registry.promoted("promoted")
        assert found == (made[0], made[1])
        assert [each.promoted_at for each in found] == ["2026-01-02", "2026-01-01"]

    def test_nothing_was_promoted_of_an_unknown_model(self, registry: Registry) -> None:
        assert registry.promoted("unheard-of") == ()

    def test_what_was_decided_of_a_version_is_told(self, registry: Registry) -> None:
        version, _ = registry.register(replace(FIRST, model="decided"))
        registry.tag(version, {OUTCOME_TAG: "held"})
        found = registry.version("decided", FIRST.key)
        assert (version.outcome, found and found.outcome) == ("", "held")

    def test_models_are_listed(self, registry: Registry) -> None:
        registry.register(replace(FIRST, model="listed"))
        assert "listed" in registry.models()
