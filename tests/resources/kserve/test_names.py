"""Names in a cluster: valid for every key there is, and never the same for two."""

import re

import pytest

from resources.kserve.names import LONGEST, endpoint_name, predictor_name, slot_name

LABEL = re.compile(r"^[a-z]([-a-z0-9]*[a-z0-9])?$")
KEYS = (
    "qa.run.100",
    "QA.Run_1.100",
    "7b.run.1",
    "a" * 63,
    "m.--run--.1",
    "m.run-.1",
    "m._.1",
)


@pytest.mark.parametrize("key", KEYS)
def test_a_slot_has_a_name_that_the_cluster_takes(key: str) -> None:
    name = slot_name(key, "d" * 64)
    assert LABEL.match(name)
    assert len(name) <= LONGEST
    assert len(predictor_name(name)) <= 63


def test_keys_that_read_alike_have_names_of_their_own() -> None:
    alike = ("qa.run.1", "QA.run.1", "qa-run.1", "qa_run.1")
    assert len({slot_name(key, "d") for key in alike}) == len(alike)


def test_other_bytes_of_a_key_have_another_name() -> None:
    assert slot_name("qa.run.1", "a") != slot_name("qa.run.1", "b")


def test_the_same_has_always_the_same_name() -> None:
    assert slot_name("qa.run.100", "d" * 64) == "qa-run-100-d5e11ecd"


@pytest.mark.parametrize("model", ["qa", "QA", "q_a", "a" * 31, "1b"])
def test_an_endpoint_has_a_name_that_the_cluster_takes(model: str) -> None:
    assert LABEL.match(endpoint_name(model))
    assert len(endpoint_name(model)) <= 63
