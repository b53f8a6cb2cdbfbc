"""Publishes a complete checkpoint: each file hashed from the descriptor it is sent from.

The manifest is written last and is what makes a checkpoint published. Receipts let a killed
transfer go on where it stopped. What may be published is `layout`'s business.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pydantic import ValidationError

from cloud_assets.documents import Document, Manifest, PublishedFile
from cloud_assets.identity import CheckpointKey, StorePaths
from cloud_assets.models import contents
from cloud_assets.models.contents import Entry, quoted
from cloud_assets.models.layout import Inspection, State
from resources.errors import RefusedCheckpoint, TransientError
from resources.object_store import ObjectStore

Progress = Callable[[int, int], None]


class Receipt(Document):
    """A file that was sent, as it was when it was sent: bytes, nanoseconds, inode."""

    name: str
    size: int
    mtime_ns: int
    inode: int
    sha256: str


@dataclass(frozen=True)
class Transferred:
    """What one publishing did: files and bytes sent now, files found sent already, seconds."""

    sent_files: int = 0
    sent_bytes: int = 0
    skipped_files: int = 0
    seconds: float = 0.0


def publish(
    inspection: Inspection,
    key: CheckpointKey,
    *,
    store: ObjectStore,
    progress: Progress | None = None,
) -> tuple[Manifest, Transferred]:
    """Send what is not in the store yet and write the manifest; a second call sends nothing.

    Raises RefusedCheckpoint when the inspection was not complete, TransientError when the
    checkpoint changed or vanished meanwhile (nothing is published then), and the store's errors.
    """
    if inspection.state != State.COMPLETE:
        raise RefusedCheckpoint(
            f"{inspection.state}: {inspection.reason}", hint=inspection.fix or None
        )
    started = time.monotonic()
    transfer = _Transfer(inspection, StorePaths(str(key)), store, progress)
    existing = transfer.published()
    if existing is not None:
        # A kill may have come between the manifest and this.
        store.delete_prefix(transfer.paths.receipts(inspection.fingerprint))
        return existing, Transferred(skipped_files=len(existing.files))
    files = _send_all(transfer)
    manifest = _manifest(inspection, key, files)
    document = manifest.model_dump_json(indent=2).encode()
    store.write(transfer.paths.record(inspection.fingerprint), document)
    store.write(transfer.paths.manifest, document)
    store.delete_prefix(transfer.paths.receipts(inspection.fingerprint))
    return manifest, replace(transfer.done, seconds=time.monotonic() - started)


def read_manifest(store: ObjectStore, key: str) -> Manifest | None:
    """What is published for `key`; None for nothing, or for a manifest that cannot be read."""
    content = store.read(StorePaths(key).manifest)
    if content is None:
        return None
    try:
        return Manifest.model_validate_json(content)
    except ValidationError:
        return None


def verify(manifest: Manifest, store: ObjectStore) -> list[str]:
    """Read every published file back; one sentence for each that is missing or not the same."""
    problems = []
    for file in manifest.files:
        found = store.sha256(manifest.prefix + file.name)
        if found is None:
            problems.append(f"{file.name} is missing from {store.url(manifest.prefix)}")
        elif found != file.sha256:
            problems.append(f"{file.name} has other bytes than were published")
    return problems


def _send_all(transfer: "_Transfer") -> list[PublishedFile]:
    try:
        return transfer.send_all()
    except (FileNotFoundError, NotADirectoryError) as error:
        transfer.discard()
        raise _not_published(transfer.inspection, "it was rotated away") from error
    except _Changed as changed:
        transfer.discard()
        raise _not_published(transfer.inspection, str(changed)) from changed
    except RefusedCheckpoint:
        transfer.discard()
        raise
    except OSError as error:
        reason = f"it cannot be read: {error.strerror}"
        raise _not_published(transfer.inspection, reason) from error


class _Changed(Exception):
    """The checkpoint is not what was inspected; turned into TransientError by `publish`."""


def _not_published(inspection: Inspection, reason: str) -> TransientError:
    return TransientError(
        "the transfer",
        f"publish {quoted(inspection.directory.name)}",
        reason,
        hint="nothing: it is looked at again when it is quiet, or forgotten when it is gone",
    )


class _Transfer:
    """One publishing under way."""

    def __init__(
        self,
        inspection: Inspection,
        paths: StorePaths,
        store: ObjectStore,
        progress: Progress | None,
    ) -> None:
        self.inspection = inspection
        self.paths = paths
        self.done = Transferred()
        self._store = store
        self._progress = progress
        self._prefix = paths.model(inspection.fingerprint)
        self._receipts = paths.receipts(inspection.fingerprint)
        self._bytes = 0

    def published(self) -> Manifest | None:
        """The manifest of this very fingerprint, when all its objects have the right size."""
        manifest = read_manifest(self._store, self.paths.key)
        if manifest is None or manifest.fingerprint != self.inspection.fingerprint:
            return None
        sizes = self._store.list(self._prefix)
        whole = all(sizes.get(self._prefix + file.name) == file.size for file in manifest.files)
        return manifest if whole else None

    def send_all(self) -> list[PublishedFile]:
        """Every file of the inspection in the store, with the bytes that were inspected."""
        self._store.discard_partial(self._prefix)
        sizes = self._store.list(self._prefix)
        receipts = self._read_receipts()
        with contents.opened(self.inspection.directory) as descriptor:
            self._require_unchanged(descriptor)
            files = []
            for entry in self.inspection.files:
                receipt = receipts.get(entry.name)
                if receipt is None or sizes.get(self._prefix + entry.name) != entry.size:
                    receipt = self._send(entry, descriptor)
                else:
                    self.done = replace(self.done, skipped_files=self.done.skipped_files + 1)
                    self._advance(entry.size)
                files.append(
                    PublishedFile(**receipt.model_dump(include={"name", "size", "sha256"}))
                )
            self._require_unchanged(descriptor)
        return files

    def discard(self) -> None:
        """Remove what was sent of a fingerprint that cannot be whole; what is published stays."""
        manifest = read_manifest(self._store, self.paths.key)
        if manifest is None or manifest.fingerprint != self.inspection.fingerprint:
            self._store.delete_prefix(self._prefix)
        self._store.delete_prefix(self._receipts)

    def _send(self, entry: Entry, descriptor: int) -> Receipt:
        with contents.open_file(descriptor, entry.name, self.inspection.directory) as file:
            _require_same(entry, file)
            digest = self._store.send(
                self._prefix + entry.name, file, entry.size, progress=self._advance
            )
            _require_same(entry, file)
        receipt = Receipt(
            name=entry.name,
            size=entry.size,
            mtime_ns=entry.mtime_ns,
            inode=entry.inode,
            sha256=digest,
        )
        self._store.write(f"{self._receipts}{entry.name}.json", receipt.model_dump_json().encode())
        self.done = replace(
            self.done,
            sent_files=self.done.sent_files + 1,
            sent_bytes=self.done.sent_bytes + entry.size,
        )
        return receipt

    def _read_receipts(self) -> dict[str, Receipt]:
        """The receipts that speak of the files as they were inspected."""
        valid = {}
        entries = {entry.name: entry for entry in self.inspection.files}
        for name in self._store.list(self._receipts):
            try:
                receipt = Receipt.model_validate_json(self._store.read(name) or b"")
            except ValidationError:
                continue
            entry = entries.get(receipt.name)
            if entry is not None and (receipt.size, receipt.mtime_ns, receipt.inode) == (
                entry.size,
                entry.mtime_ns,
                entry.inode,
            ):
                valid[receipt.name] = receipt
        return valid

    def _require_unchanged(self, descriptor: int) -> None:
        found = contents.read(descriptor, self.inspection.directory)
        if found.fingerprint != self.inspection.fingerprint:
            raise _Changed("it changed while it was being read")

    def _advance(self, count: int) -> None:
        self._bytes += count
        if self._progress:
            self._progress(self._bytes, sum(entry.size for entry in self.inspection.files))


def _require_same(entry: Entry, file: int) -> None:
    now = contents.stated(entry.name, file)
    if (now.size, now.mtime_ns, now.inode) != (entry.size, entry.mtime_ns, entry.inode):
        raise _Changed(f"{quoted(entry.name)} changed while it was being read")


def _manifest(inspection: Inspection, key: CheckpointKey, files: list[PublishedFile]) -> Manifest:
    """`digest` covers what a server can see: layout, base model, names, sizes and bytes."""
    visible = {
        "layout": inspection.layout,
        "base_model": inspection.base_model,
        "files": [file.model_dump() for file in files],
    }
    canonical = json.dumps(visible, sort_keys=True, separators=(",", ":"))
    finished = max(entry.mtime_ns for entry in inspection.files)
    return Manifest(
        key=str(key),
        model=key.model,
        run=key.run,
        step=key.step,
        layout=inspection.layout,
        fingerprint=inspection.fingerprint,
        source=str(inspection.directory),
        prefix=StorePaths(str(key)).model(inspection.fingerprint),
        files=tuple(files),
        digest=hashlib.sha256(canonical.encode()).hexdigest(),
        finished_at=datetime.fromtimestamp(finished / 1e9, UTC),
        written_at=datetime.now(UTC),
        base_model=inspection.base_model,
    )
