"""Names of a checkpoint: its key, its place in the object store, its names elsewhere.

Pure string work. What is inside a checkpoint directory is `models.layout`'s business.
"""

import re
from dataclasses import dataclass

from resources.errors import UsageError

KEY_PATTERN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
MODEL_PATTERN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]{0,30}$")


@dataclass(frozen=True, order=True)
class CheckpointKey:
    """`model.run.step`: the partition key of one checkpoint.

    `model` has no dot, `step` is a number, so the three parts can be read back from the text
    whatever dots the run's name has.
    """

    model: str
    run: str
    step: int

    def __str__(self) -> str:
        return f"{self.model}.{self.run}.{self.step}"

    @classmethod
    def parse(cls, text: str) -> "CheckpointKey":
        """The key that `text` spells. Raises UsageError for anything that is not a key."""
        model, _, rest = text.partition(".")
        run, _, step = rest.rpartition(".")
        # One spelling for each checkpoint: `0100` would be another partition than `100`.
        plain = step.isdecimal() and str(int(step)) == step
        if not (KEY_PATTERN.match(text) and MODEL_PATTERN.match(model) and run and plain):
            raise UsageError(
                f"`{text[:80]}` is not a checkpoint key",
                hint="a key reads `model.run.step`, as `ai-how checkpoints` prints it",
            )
        return cls(model, run, int(step))


@dataclass(frozen=True)
class StorePaths:
    """Where one checkpoint's objects are, relative to the root of the object store.

    The model's files stand under the fingerprint, so that a checkpoint rewritten under the same
    name never changes bytes that are being served; beside them stands their record, the manifest of
    these very files. The manifest above is what is published now, and equals one of the records.
    """

    key: str

    @property
    def manifest(self) -> str:
        return f"checkpoints/{self.key}/manifest.json"

    def record(self, fingerprint: str) -> str:
        """The manifest of these very files, which stays when others are published."""
        return f"checkpoints/{self.key}/{fingerprint[:16]}/manifest.json"

    def model(self, fingerprint: str) -> str:
        """The prefix of the published files, with the final slash a KServe `storageUri` needs."""
        return f"checkpoints/{self.key}/{fingerprint[:16]}/model/"

    def receipts(self, fingerprint: str) -> str:
        """The prefix of the notes on files already sent by an unfinished transfer."""
        return f"checkpoints/{self.key}/{fingerprint[:16]}/receipts/"

    def report(self, fingerprint: str, name: str) -> str:
        return f"reports/{self.key}/{fingerprint[:16]}/{name}"


def record_of(location: str) -> str:
    """The record of the files at `location`, a URL or a prefix that `StorePaths.model` made."""
    parts = location.rstrip("/").split("/")
    if parts[-4:-3] != ["checkpoints"] or parts[-1] != "model":
        raise UsageError(f"`{location[:200]}` is no place of a published checkpoint")
    return StorePaths(parts[-3]).record(parts[-2])


def trend_page_path(model: str) -> str:
    """Where the trend page of a model is, relative to the root of the object store."""
    return f"reports/{model}.html"
