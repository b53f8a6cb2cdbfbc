"""Keys of checkpoints and the places of their objects."""

import pytest

from cloud_assets.identity import CheckpointKey, StorePaths, record_of, trend_page_path
from resources.errors import UsageError

PATHS = StorePaths("qa.run.1.100")
FINGERPRINT = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("qa.run.100", ("qa", "run", 100)),
        ("qa.run.1.with.dots.7", ("qa", "run.1.with.dots", 7)),
        ("a-b_c.-dash.0", ("a-b_c", "-dash", 0)),
    ],
)
def test_a_key_reads_back_as_it_was_spelt(text: str, parts: tuple[str, str, int]) -> None:
    key = CheckpointKey.parse(text)
    assert ((key.model, key.run, key.step), str(key)) == (parts, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "qa",
        "qa.run",
        "qa..100",
        ".run.100",
        "qa.run.",
        "qa.run.-1",
        "qa.run.1e3",
        "qa.run.١٠٠",
        "qa.run.100\n",
        "../qa.run.100",
        "qa/run.100",
        "qa.a b.100",
        f"qa.{'r' * 80}.100",
        f"{'m' * 40}.run.100",
        "qa.run.0100",
    ],
)
def test_what_is_no_key_is_refused_with_what_a_key_is(text: str) -> None:
    with pytest.raises(UsageError, match="is not a checkpoint key") as error:
        CheckpointKey.parse(text)
    assert error.value.hint is not None


def test_a_long_text_is_not_repeated_whole() -> None:
    with pytest.raises(UsageError) as error:
        CheckpointKey.parse("x" * 10_000)
    assert len(str(error.value)) < 200


def test_keys_of_a_run_sort_by_their_step() -> None:
    keys = [CheckpointKey("qa", "run", step) for step in (1000, 75, 200)]
    assert [key.step for key in sorted(keys)] == [75, 200, 1000]


def test_files_of_another_fingerprint_stand_elsewhere() -> None:
    other = "f" * 64
    assert PATHS.model(FINGERPRINT) != PATHS.model(other)
    assert PATHS.record(FINGERPRINT) != PATHS.record(other)
    assert PATHS.report(FINGERPRINT, "x") != PATHS.report(other, "x")


def test_a_record_stands_beside_the_files_it_is_of() -> None:
    location = "s3://bucket/prefix/" + PATHS.model(FINGERPRINT)
    assert record_of(location) == PATHS.record(FINGERPRINT)


@pytest.mark.parametrize("location", ["", "/", "s3://bucket/else/", "checkpoints/a/b/receipts/"])
def test_a_place_that_is_no_checkpoints_has_no_record(location: str) -> None:
    with pytest.raises(UsageError, match="no place of a published checkpoint"):
        record_of(location)


def test_a_trend_page_cannot_be_taken_for_a_report() -> None:
    assert trend_page_path("qa") != PATHS.report(FINGERPRINT, "qa.html")
