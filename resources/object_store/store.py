"""The object store: a directory (`file://`) or any S3 server (`s3://`), by obstore.

Objects appear whole or not at all. What is stored under which name is the rooms' business.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from resources.errors import PermanentError, TransientError, UsageError
from resources.object_store.errors import translated

if TYPE_CHECKING:
    from obstore.store import LocalStore, S3Config, S3Store

MEBIBYTE = 2**20
# obstore with 8 MiB x 4 was the fastest client measured and stays near 120 MB of memory.
PART_BYTES = 8 * MEBIBYTE
PARTS_AT_ONCE = 4
# S3 allows 10,000 parts an object.
MAX_PARTS = 9_000
CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
# obstore's local store writes `name#N` beside `name` and renames it; a killed one leaves it.
PARTIAL = re.compile(r"#\d+$")


class ObjectStore:
    """One place for objects; names are relative to its URL, with `/` between segments.

    Every method raises TransientError where trying again may help, else PermanentError.
    """

    def __init__(
        self,
        url: str,
        *,
        endpoint: str | None = None,
        region: str = "us-east-1",
        retries: int = 3,
    ) -> None:
        if not re.match(r"^(s3://[^/]+|file:///.+)", url):
            raise UsageError(f"`{url}` is neither s3://bucket/prefix nor file:///directory")
        self._url = url.rstrip("/")
        self._endpoint = endpoint
        self._region = region
        self._retries = retries

    @property
    def root(self) -> Path | None:
        """The real directory of a `file://` store."""
        parts = urlsplit(self._url)
        return Path(unquote(parts.path)) if parts.scheme == "file" else None

    def url(self, prefix: str) -> str:
        """The full URL of an object or a prefix."""
        return f"{self._url}/{prefix}"

    def local_directory(self, prefix: str) -> Path | None:
        """The real directory of `prefix` in a `file://` store, None elsewhere."""
        return self.root / prefix if self.root else None

    def send(
        self,
        name: str,
        descriptor: int,
        size: int,
        *,
        progress: Callable[[int], None] | None = None,
    ) -> str:
        """Store the first `size` bytes of an open file; the SHA-256 of the very bytes sent.

        Holds a few parts in memory, whatever the size. `progress` gets the bytes of each chunk.
        """
        import obstore

        digest = hashlib.sha256()
        part = max(PART_BYTES, -(-size // MAX_PARTS))

        def chunks() -> Iterator[bytes]:
            offset = 0
            while offset < size:
                chunk = _read_chunk(descriptor, min(part, size - offset), offset)
                digest.update(chunk)
                offset += len(chunk)
                if progress:
                    progress(len(chunk))
                yield chunk

        with self._translated(f"store {name}"):
            obstore.put(
                self._store,
                name,
                chunks() if size else b"",
                chunk_size=part,
                max_concurrency=PARTS_AT_ONCE,
            )
        return digest.hexdigest()

    def write(self, name: str, content: bytes) -> None:
        """Store a small object in one step."""
        import obstore

        with self._translated(f"write {name}"):
            obstore.put(self._store, name, content, use_multipart=False)

    def read(self, name: str) -> bytes | None:
        """The content of a small object, None when there is none."""
        import obstore

        with self._translated(f"read {name}"):
            try:
                return bytes(obstore.get(self._store, name).bytes())
            except FileNotFoundError as error:
                _require_bucket(error)
                return None

    def size(self, name: str) -> int | None:
        """The bytes of an object, None when there is none."""
        import obstore

        with self._translated(f"look at {name}"):
            try:
                return obstore.head(self._store, name)["size"]
            except FileNotFoundError:
                return None

    def exists(self, name: str) -> bool:
        return self.size(name) is not None

    def list(self, prefix: str) -> dict[str, int]:
        """The names below `prefix` (whole segments) and their sizes in bytes."""
        import obstore

        with self._translated(f"list {prefix}"):
            batches = obstore.list(self._store, prefix.rstrip("/"))
            return {found["path"]: found["size"] for batch in batches for found in batch}

    def sha256(self, name: str) -> str | None:
        """The SHA-256 of what is stored now, read back; None when there is no such object."""
        import obstore

        digest = hashlib.sha256()
        with self._translated(f"read {name}"):
            try:
                for chunk in obstore.get(self._store, name).stream(PART_BYTES):
                    digest.update(chunk)
            except FileNotFoundError as error:
                _require_bucket(error)
                return None
        return digest.hexdigest()

    def delete_prefix(self, prefix: str) -> None:
        """Remove everything below `prefix`, the left-overs of killed transfers too."""
        import obstore

        if not prefix.strip("/"):
            raise UsageError("an empty prefix would delete the whole store")
        directory = self.local_directory(prefix)
        with self._translated(f"delete {prefix}"):
            if directory is not None:
                if directory.exists():
                    shutil.rmtree(directory)
                return
            names = [*self.list(prefix)]
            if names:
                obstore.delete(self._store, names)

    def discard_partial(self, prefix: str) -> None:
        """Remove what killed transfers left below `prefix`; S3 does so by a lifecycle rule."""
        directory = self.local_directory(prefix)
        with self._translated(f"clean {prefix}"):
            for path in directory.glob("*#*") if directory and directory.is_dir() else ():
                if PARTIAL.search(path.name):
                    path.unlink(missing_ok=True)

    def fetch(self, prefix: str, directory: Path, sha256: Mapping[str, str]) -> None:
        """Bring the files named in `sha256` from below `prefix` into `directory`, verified.

        Files that are there already with the right content stay. Raises PermanentError naming the
        first file that is missing or whose bytes are not the promised ones.
        """
        directory.mkdir(parents=True, exist_ok=True)
        for name, expected in sha256.items():
            target = directory / name
            if Path(name).name != name:
                raise PermanentError("the object store", f"fetch {name!r}", "not a plain name")
            if target.exists() and _file_sha256(target) == expected:
                continue
            partial = directory / f".{name}.partial"
            try:
                self._download(prefix + name, partial, expected)
                os.replace(partial, target)
            finally:
                partial.unlink(missing_ok=True)

    def _download(self, name: str, target: Path, expected: str) -> None:
        import obstore

        digest = hashlib.sha256()
        with self._translated(f"fetch {name}"), target.open("wb") as file:
            for chunk in obstore.get(self._store, name).stream(PART_BYTES):
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != expected:
            raise PermanentError(
                "the object store",
                f"fetch {name}",
                "the bytes are not those that were published",
                hint="publish the checkpoint again",
            )

    @cached_property
    def _store(self) -> "LocalStore | S3Store":
        from obstore.store import LocalStore, S3Store

        if self.root is not None:
            self.root.mkdir(parents=True, exist_ok=True)
            return LocalStore(prefix=self.root)
        if not any(os.environ.get(name) for name in CREDENTIALS):
            raise PermanentError(
                "the object store",
                f"open {self._url}",
                "there are no credentials",
                hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment",
            )
        parts = urlsplit(self._url)
        config: S3Config = {"region": self._region, "checksum_algorithm": "SHA256"}
        if self._endpoint:
            config["endpoint"] = self._endpoint
        return S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            config=config,
            client_options={
                "allow_http": (self._endpoint or "").startswith("http://"),
                "connect_timeout": "5s",
                "read_timeout": "60s",
                "timeout": "1h",
            },
            retry_config={"max_retries": self._retries},
        )

    @contextmanager
    def _translated(self, action: str) -> Iterator[None]:
        with translated(f"the object store {self._url}", action):
            yield


def _require_bucket(error: FileNotFoundError) -> None:
    """Raises `error` again where not the object but the whole bucket is missing."""
    if "NoSuchBucket" in str(error):
        raise error


def _read_chunk(descriptor: int, length: int, offset: int) -> bytes:
    try:
        chunk = os.pread(descriptor, length, offset)
    except OSError as error:
        raise TransientError("the transfer", "read the file", str(error.strerror)) from error
    if not chunk:
        raise TransientError("the transfer", "read the file", f"it ended at {offset:,} bytes")
    return chunk


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
