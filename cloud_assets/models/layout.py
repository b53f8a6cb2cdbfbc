"""Judges one checkpoint directory: its layout, whether it is complete, what of it is published.

Only looks, at one moment; that nothing changes for a while is `scan`'s business. Complete
means: the file that the trainer writes last, all shards, whole headers. A problem before that file
is there means waiting, the same problem after it refused.
"""

import errno
import re
import stat
from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from cloud_assets.models import contents, weights
from cloud_assets.models.contents import Contents, Entry, quoted
from cloud_assets.models.weights import ADAPTER, INDEX, SHARD, SINGLE, Problem, Source
from resources.errors import RefusedCheckpoint

MARKER = "trainer_state.json"
# transformers 5 writes it first when SIGTERM forces a save, and removes it at the end.
INCOMPLETE = "checkpoint-is-incomplete.txt"
PUBLISHED = re.compile(
    r"^(config|generation_config|adapter_config|special_tokens_map|added_tokens|vocab"
    r"|preprocessor_config|processor_config|image_processor_config|video_preprocessor_config"
    r"|chat_template)\.json$"
    r"|^tokenizer[A-Za-z0-9_-]*\.(json|model|txt)$"
    r"|^(vocab|merges)\.txt$|^(spiece|sentencepiece(\.bpe)?)\.model$"
    r"|^chat_template\.jinja$|^(README\.md|(LICENSE|NOTICE)(\.txt|\.md)?)$"
)
PICKLE = re.compile(r"^(pytorch_model.*|model|adapter_model)\.(bin|pt|pth|ckpt|pkl)$")
CODE_CARRIERS = (
    "config.json",
    "tokenizer_config.json",
    "preprocessor_config.json",
    "processor_config.json",
)


class Layout(StrEnum):
    """How a trainer lays a checkpoint out; the first three can be served as they stand."""

    HF = "hf"
    HF_SHARDED = "hf-sharded"
    LORA = "lora"
    FSDP_DCP = "fsdp-dcp"
    DEEPSPEED = "deepspeed"
    OUMI_DCP = "oumi-dcp"
    VERL = "verl"
    UNKNOWN = "unknown"


SERVABLE = (Layout.HF, Layout.HF_SHARDED, Layout.LORA)


class State(StrEnum):
    """`waiting` may become complete; `refused` will not unless its files change.

    `gone`: the directory or a file vanished meanwhile, as rotation does; look again while it is
    listed.
    """

    COMPLETE = "complete"
    WAITING = "waiting"
    REFUSED = "refused"
    GONE = "gone"


@dataclass(frozen=True)
class Inspection:
    """What one look at a checkpoint found; `reason` and `fix` say why it is not complete.

    `files` is what would be published, `fingerprint` covers all files there are (empty when the
    directory could not be read).
    """

    directory: Path
    layout: Layout
    state: State
    reason: str = ""
    fix: str = ""
    files: tuple[Entry, ...] = ()
    fingerprint: str = ""
    base_model: str | None = None


def inspect(directory: Path) -> Inspection:
    """Look at a checkpoint directory. Raises nothing that its contents can cause."""
    seen = Inspection(directory, Layout.UNKNOWN, State.WAITING)
    try:
        with contents.opened(directory) as descriptor:
            return _judge(Source(descriptor, directory, contents.read(descriptor, directory)))
    except RefusedCheckpoint as refusal:
        return _refused(seen, refusal)
    except FileNotFoundError as error:
        name = quoted(Path(str(error.filename)).name)
        reason = f"{name} vanished while being looked at"
        return replace(seen, state=State.GONE, reason=reason, fix="nothing, if it was rotated away")
    except PermissionError as error:
        name = quoted(Path(str(error.filename or directory)).name)
        return replace(seen, reason=f"the directory {name} is unreadable", fix=READABLE)
    except OSError as error:
        reason = f"the directory cannot be read: {error.strerror}"
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            return replace(seen, state=State.REFUSED, reason=reason, fix=_PLAIN)
        state = State.GONE if error.errno == errno.ESTALE else State.WAITING
        return replace(seen, state=state, reason=reason, fix="look at the filesystem below it")


READABLE = "let the platform's group read it: chmod -R g+rX, or umask 027 in the training job"
_PLAIN = "let it be a plain directory, no link and no file"
_WHO = "find out who wrote it; a trainer writes plain files of its own"
#: What makes of each other layout one that can be served.
MERGES = {
    Layout.FSDP_DCP: "run `accelerate merge-weights`, or train with FULL_STATE_DICT",
    Layout.DEEPSPEED: "run `zero_to_fp32.py . OUT --safe_serialization`, or train with "
    "stage3_gather_16bit_weights_on_model_save",
    Layout.OUMI_DCP: "train with trainer_type hf or trl_sft, or convert it to safetensors",
    Layout.VERL: "run `python -m verl.model_merger merge`",
}


def classify(names: Collection[str], directories: Collection[str]) -> Layout:
    """The layout by names alone; weights that can be served win over what stands beside them."""
    for layout, holds in (
        (Layout.HF, SINGLE in names),
        (Layout.HF_SHARDED, INDEX in names or any(map(SHARD.match, names))),
        (Layout.LORA, any(name.startswith("adapter_") for name in names)),
        (Layout.VERL, "actor" in directories or any("model_world_size_" in n for n in names)),
        (Layout.OUMI_DCP, {"model", "optimizer"} <= set(directories)),
        (Layout.FSDP_DCP, any(_DCP.search(name) for name in (*names, *directories))),
        (Layout.DEEPSPEED, "latest" in names or any(map(_GLOBAL_STEP.match, directories))),
        (Layout.HF, any(map(PICKLE.match, names))),
    ):
        if holds:
            return layout
    return Layout.UNKNOWN


_DCP = re.compile(r"^pytorch_model_fsdp_\d+$|\.distcp$")
_GLOBAL_STEP = re.compile(r"^global_step\d+$")


def _judge(source: Source) -> Inspection:
    found = source.found
    layout = classify(found.entries, found.directories)
    seen = Inspection(source.directory, layout, State.WAITING, fingerprint=found.fingerprint)
    try:
        names, problem = _examine(source, seen.layout)
        base = None if problem or seen.layout != Layout.LORA else _base_model(source)
    except RefusedCheckpoint as refusal:
        return _refused(seen, refusal)
    problem = base if isinstance(base, Problem) else problem
    if problem is not None:
        final = _ended(seen.layout, found) if problem.lasting is None else problem.lasting
        state = State.REFUSED if final else State.WAITING
        return replace(seen, state=state, reason=problem.reason, fix=problem.fix)
    files = tuple(found.entries[name] for name in names)
    return replace(seen, state=State.COMPLETE, files=files, base_model=_text(base))


def _text(base: str | Problem | None) -> str | None:
    return base if isinstance(base, str) else None


def _refused(seen: Inspection, refusal: RefusedCheckpoint) -> Inspection:
    return replace(seen, state=State.REFUSED, reason=refusal.reason, fix=refusal.hint or _WHO)


def _examine(source: Source, layout: Layout) -> tuple[tuple[str, ...], Problem | None]:
    """What would be published, or the first problem."""
    found = source.found
    problem = _unfinished(found) or _unservable(found, layout) or _unreadable(source)
    if problem is not None:
        return (), problem
    named = _weights(source, layout)
    if isinstance(named, Problem):
        return (), named
    sharded = layout == Layout.HF_SHARDED
    problem = (
        _code(source)
        or weights.check(source, named, indexed=sharded)
        or (None if MARKER in found.entries else _not_ended(MARKER))
    )
    beside = [name for name in found.entries if PUBLISHED.match(name)]
    return tuple(sorted({*named, *beside, *([INDEX] if sharded else [])})), problem


def _not_ended(name: str) -> Problem:
    return Problem(
        f"{name} is missing: the save has not ended",
        "nothing while the trainer runs; if it died, remove the directory",
        lasting=False,
    )


def _unfinished(found: Contents) -> Problem | None:
    for name in sorted(found.entries):
        base = name.rpartition("/")[2]
        if base in (INCOMPLETE, ".metadata.tmp") or _TEMPORARY.match(base):
            fix = "nothing while the trainer runs; if it died, remove the directory"
            return Problem(f"{quoted(name)} says that a save is under way", fix, lasting=False)
    return None


# safetensors >= 0.8 writes `.tmpXXXXXX` and renames it.
_TEMPORARY = re.compile(r"^\.tmp\w{6}$")


def _unservable(found: Contents, layout: Layout) -> Problem | None:
    names = found.entries
    if layout in MERGES:
        return Problem(f"needs a merge: {layout}", MERGES[layout])
    if layout == Layout.UNKNOWN:
        return Problem("there are no weights", "save safetensors weights into the checkpoint")
    if not any(name.endswith(".safetensors") for name in names):
        pickles = sorted(filter(PICKLE.match, names))
        if pickles:
            reason = f"weights are only there as a pickle: {quoted(pickles[0])}"
            return Problem(reason, "save with save_safetensors=True", lasting=True)
    config = "adapter_config.json" if layout == Layout.LORA else "config.json"
    return None if config in names else Problem(f"{config} is missing")


def _unreadable(source: Source) -> Problem | None:
    """The first file to be published that this process may not read; weights have 0600 often.

    safetensors >= 0.8 creates them so whatever the umask (huggingface/safetensors#782).
    """
    for name, entry in sorted(source.found.entries.items()):
        weight = name.endswith(".safetensors")
        if not (weight or name == INDEX or PUBLISHED.match(name)) or "/" in name:
            continue
        try:
            with contents.open_file(source.descriptor, name, source.directory):
                pass
        except PermissionError:
            what = "weights are unreadable: " if weight else "unreadable: "
            owner = f"has mode {stat.S_IMODE(entry.mode):04o} of user {entry.uid}"
            return Problem(f"{what}{quoted(name)} {owner}", READABLE, lasting=False)
    return None


def _weights(source: Source, layout: Layout) -> tuple[str, ...] | Problem:
    if layout == Layout.HF_SHARDED:
        return weights.shards(source)
    name = ADAPTER if layout == Layout.LORA else SINGLE
    return (name,) if name in source.found.entries else Problem(f"{name} is missing")


def _code(source: Source) -> Problem | None:
    """`auto_map` makes a server import Python files of the checkpoint: remote code."""
    for name in CODE_CARRIERS:
        if name not in source.found.entries:
            continue
        value = source.json(name)
        if isinstance(value, Problem):
            return value
        if "auto_map" in value:
            fix = "train an architecture that transformers has built in"
            return Problem(f"{name} asks for code of its own (auto_map)", fix, lasting=True)
    return None


def _base_model(source: Source) -> str | Problem:
    config = source.json("adapter_config.json")
    if isinstance(config, Problem):
        return config
    base = config.get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        return Problem("adapter_config.json names no base_model_name_or_path")
    return base


def _ended(layout: Layout, found: Contents) -> bool:
    """Whether the file that this layout's trainer writes last is there."""
    names = found.entries
    if layout == Layout.VERL:
        return True
    return MARKER in names or "latest" in names or any(n.endswith("/.metadata") for n in names)
