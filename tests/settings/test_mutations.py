"""Whatever is wrong with a file, it is told by its line, and the schema refuses nothing else."""

import random
import re
import string
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from cloud_assets.machines.spec import desired
from cloud_assets.settings.document import ClusterFile
from cloud_assets.settings_file import look_at_cluster_file, read_cluster_file
from cloud_assets.settings_file.rendering import rendered
from resources.errors import SettingsError
from tests.settings.cluster_texts import EXAMPLES

SEEDS = range(6)
ROUNDS = 40
STRANGE: list[Any] = [
    None, [], {}, "", "x", "DHCP", "0.0.0.0", -1, 0, 1.5, True, 10**30, [None], [[]], {"a": 1},
    "${NOWHERE_AT_ALL}", "${", "$$", float("nan"), "\x7f", "é" * 300,
]  # fmt: skip
FILES = sorted(EXAMPLES.iterdir())
SCHEMA = jsonschema.Draft202012Validator(
    ClusterFile.model_json_schema(), format_checker=jsonschema.FormatChecker()
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container with each of its keys."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places(value[key])


def delete(place: tuple[Any, Any], _: random.Random) -> None:
    container, key = place
    del container[key]


def replace(place: tuple[Any, Any], chance: random.Random) -> None:
    container, key = place
    container[key] = deepcopy(chance.choice(STRANGE))


def duplicate(place: tuple[Any, Any], chance: random.Random) -> None:
    container, key = place
    if isinstance(container, list):
        container.append(deepcopy(container[key]))
    else:
        container[chance.choice(list(container))] = deepcopy(container[key])


def misspell(place: tuple[Any, Any], chance: random.Random) -> None:
    container, key = place
    if isinstance(container, dict):
        container[f"{key}{chance.choice(string.ascii_lowercase)}"] = container.pop(key)


CHANGES: list[Callable[[tuple[Any, Any], random.Random], None]] = [
    delete, replace, duplicate, misspell,
]  # fmt: skip


def refusal(path: Path) -> list[str]:
    """The problems of a file, each by its line; none where it is valid and machines follow."""
    try:
        read = read_cluster_file(path)
    except SettingsError as error:
        told = list(error.problems)
    else:
        desired(read.clusters, read.platform.machines)
        return []
    assert told
    without_line = rf"(?!{re.escape(str(path))}:[1-9][0-9]*: .)"
    assert [each for each in told if re.match(without_line, each)] == []
    return told


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("example", FILES, ids=lambda path: str(path.name))
def test_a_changed_value_is_valid_or_told_by_its_line(
    tmp_path: Path, example: Path, seed: int
) -> None:
    chance = random.Random(f"{example.name}{seed}")
    whole = yaml.safe_load(rendered(example).text)
    path = tmp_path / "cluster.yaml"
    for _ in range(ROUNDS):
        content = deepcopy(whole)
        for change in chance.choices(CHANGES, k=chance.randint(1, 3)):
            found = list(places(content))
            if found:
                change(chance.choice(found), chance)
        path.write_text(yaml.safe_dump(content, allow_unicode=True))
        refused = refusal(path)
        # The schema has no warnings: what has no effect is a mistake there.
        if not refused and not look_at_cluster_file(path).warnings:
            errors = list(SCHEMA.iter_errors(yaml.safe_load(rendered(path).text)))
            assert errors == [], path.read_text()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("example", FILES, ids=lambda path: str(path.name))
def test_a_changed_text_is_valid_or_told_by_its_line(
    tmp_path: Path, example: Path, seed: int
) -> None:
    chance = random.Random(f"{example.name}{seed}")
    lines = example.read_text().splitlines(keepends=True)
    path = tmp_path / "cluster.yaml"
    for _ in range(ROUNDS):
        changed = list(lines)
        place = chance.randrange(len(changed))
        match chance.randrange(5):
            case 0:
                del changed[place]
            case 1:
                changed.insert(place, changed[place])
            case 2:
                changed[place] = f" {changed[place]}"
            case 3:
                changed = [*changed[:place], changed[place][: chance.randrange(20)]]
            case _:
                strange = chance.choice("{}[]&*!|>'\"%@`$\t:-#\x00")
                cut = chance.randrange(len(changed[place]))
                changed[place] = changed[place][:cut] + strange + changed[place][cut:]
        path.write_text("".join(changed))
        refusal(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.name))
def test_the_schema_takes_every_example(path: Path) -> None:
    assert list(SCHEMA.iter_errors(yaml.safe_load(rendered(path).text))) == []


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]\n",
        "global: &a {b: *a}\n",
        "clusters: &a {hpc: *a, cloud: *a}\n",
        "clusters: {hpc: {compute_nodes: &a [*a]}}\n",
        "metadata: {name: 2026-13-45}\n",
        "global: {a: 2026-02-30}\n",
        "? [a]\n: b\n",
        "? {a: b}\n: b\n",
        "- a\n",
        "text\n",
        "clusters: [1]\n",
        "clusters: {hpc: 7, cloud: [x]}\n",
        "a: !!python/name:os.system\n",
        "platform: {home: 2026-13-45}\n",
        "a: " + "[" * 5000 + "\n",
        "clusters: {? null : 1}\n",
        "clusters: {hpc: {1: 2, true: 3}}\n",
    ],
)
def test_a_hostile_file_is_told_by_its_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(text)
    assert refusal(path) or text.startswith("global: &a")
