"""Judges the weights of one checkpoint: index, shards and headers belong together and are whole.

Names in an index are the trainer's word and become object names, so they are checked as hostile.
"""

import json
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud_assets.models import contents
from cloud_assets.models.safetensors import read_header
from resources.errors import RefusedCheckpoint

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
ADAPTER = "adapter_model.safetensors"
SHARD = re.compile(r"^(model)-(\d{5})-of-(\d{5})\.safetensors$")
SAFE_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,200}$")
MAX_JSON_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Problem:
    """Why the checkpoint cannot be published as it stands, and the fix.

    `lasting`: True where nothing that the trainer still writes mends it, False where someone or
    something may mend it any time, None where it is final once the save has ended.
    """

    reason: str
    fix: str = "save the checkpoint again"
    lasting: bool | None = None


@dataclass(frozen=True)
class Source:
    """A checkpoint directory held open, with what stood in it."""

    descriptor: int
    directory: Path
    found: contents.Contents

    def json(self, name: str) -> dict[str, Any] | Problem:
        """The object in the JSON file `name`."""
        with contents.open_file(self.descriptor, name, self.directory) as file:
            size = os.fstat(file).st_size
            text = os.pread(file, MAX_JSON_BYTES + 1, 0)
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if size > MAX_JSON_BYTES:
            return Problem(f"{name} has {size:,} bytes", "remove the file", lasting=True)
        if not isinstance(value, dict):
            return Problem(f"{name} is not a JSON object")
        return value


def shards(source: Source) -> tuple[str, ...] | Problem:
    """The names of the shards of a sharded checkpoint, every one of them there.

    Raises RefusedCheckpoint for an index that names anything but plain file names.
    """
    present = [name for name in source.found.entries if SHARD.match(name)]
    missing = _missing_ordinal(present)
    if missing is not None:
        return missing
    if INDEX not in source.found.entries:
        return Problem(f"{INDEX} is missing")
    placed = _placed(source)
    if isinstance(placed, Problem):
        return placed
    for name in sorted(placed):
        if name not in source.found.entries:
            return _missing(name)
    return tuple(sorted(placed))


def check(source: Source, names: Sequence[str], *, indexed: bool) -> Problem | None:
    """The first thing wrong with the headers of the files `names`, and with their index."""
    placed = _placed(source) if indexed else None
    if isinstance(placed, Problem):
        return placed
    for name in names:
        with contents.open_file(source.descriptor, name, source.directory) as file:
            header = read_header(file, os.fstat(file).st_size)
        if header.flaw is not None:
            return Problem(f"{name}: {header.flaw}")
        if placed is not None and name in placed and placed[name] != header.tensors:
            tensor = min(placed[name] ^ header.tensors)
            return Problem(f"{name} and {INDEX} differ on the tensor {contents.quoted(tensor)}")
    return None


def _placed(source: Source) -> dict[str, set[str]] | Problem:
    """The tensors of each shard by the index."""
    index = source.json(INDEX)
    if isinstance(index, Problem):
        return index
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        return Problem(f"{INDEX} has no weight_map")
    placed: dict[str, set[str]] = defaultdict(set)
    for tensor, name in weight_map.items():
        if not (isinstance(name, str) and SAFE_NAME.match(name) and name.endswith(".safetensors")):
            raise RefusedCheckpoint(
                f"{INDEX} names the file {contents.quoted(str(name))}",
                hint="an index names safetensors files of its own directory; "
                "find out who wrote this one",
            )
        placed[name].add(tensor)
    return placed


def _missing_ordinal(present: Sequence[str]) -> Problem | None:
    totals = {int(match[3]) for name in present if (match := SHARD.match(name))}
    if len(totals) != 1:
        # None there, or left-overs of another save: the index decides.
        return None
    total = totals.pop()
    for number in range(1, total + 1):
        name = f"model-{number:05}-of-{total:05}.safetensors"
        if name not in present:
            return _missing(name)
    return None


def _missing(name: str) -> Problem:
    match = SHARD.match(name)
    which = f" {int(match[2])} of {int(match[3])}" if match else ""
    return Problem(f"missing shard{which}: {name}")
