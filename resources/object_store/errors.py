"""Says of an obstore failure what it means: trying again, or someone has to act and how.

obstore wraps most failures in one type whose text names the cause; only here is that text read.
"""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from resources.errors import ExternalError, NeedsRepair, PermanentError, TransientError


@dataclass(frozen=True)
class _Meaning:
    reason: str
    hint: str | None = None
    kind: type[ExternalError] = PermanentError


_SPACE = "free space there, or let `store.url` point elsewhere"
_RIGHTS = "let the platform's user write there"
_ABSENT = _Meaning("there is no such object", "publish the checkpoint again")
_ERRNO = {
    errno.ENOENT: _ABSENT,
    errno.ENOSPC: _Meaning("the disk is full", _SPACE, NeedsRepair),
    errno.EDQUOT: _Meaning("the quota is used up", _SPACE, NeedsRepair),
    errno.EFBIG: _Meaning("the file is larger than allowed", "raise the limit (ulimit -f)"),
    errno.EROFS: _Meaning(
        "it is read-only", "mount it writable, or change `store.url`", NeedsRepair
    ),
    errno.EACCES: _Meaning("permission denied", _RIGHTS, NeedsRepair),
    errno.EPERM: _Meaning("permission denied", _RIGHTS, NeedsRepair),
    errno.ENOTDIR: _Meaning("a file stands where a directory is needed", "move that file away"),
    errno.EEXIST: _Meaning("a file stands where a directory is needed", "move that file away"),
    errno.EISDIR: _Meaning("a directory stands where an object is needed", "move it away"),
    errno.ENAMETOOLONG: _Meaning("the name is too long", "shorten the path of the store"),
}
# Codes of https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html and MinIO's own.
_S3 = {
    r"NoSuchBucket": _Meaning(
        "there is no such bucket", "create it, or mend `store.url`", NeedsRepair
    ),
    r"NoSuchKey|404 \w+": _ABSENT,
    r"AccessDenied|SignatureDoesNotMatch|InvalidAccessKeyId|40[13] \w+": _Meaning(
        "access denied", "check the credentials and the bucket's policy", NeedsRepair
    ),
    r"QuotaExceeded|StorageFull|InsufficientStorage|507 ": _Meaning(
        "the store is full", _SPACE, NeedsRepair
    ),
    r"BadDigest|ContentSHA256Mismatch|ChecksumMismatch": _Meaning(
        "the bytes arrived damaged", None, TransientError
    ),
    r"error sending request|connect|timed out": _Meaning(
        "no answer", "check that the server runs and that `store.endpoint` is right", TransientError
    ),
}


@contextmanager
def translated(system: str, action: str) -> Iterator[None]:
    """Turn failures of obstore and of the disk into errors of ours."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (OSError, BaseError) as error:
        meaning = _meaning(error)
        raise meaning.kind(system, action, meaning.reason, hint=meaning.hint) from error
    except ValueError as error:
        # obstore's word for a name it cannot store, and for a setting it does not know.
        raise PermanentError(system, action, _first_line(error)) from error


def _meaning(error: Exception) -> _Meaning:
    text = str(error)
    code = getattr(error, "errno", None)
    if code is None and (match := re.search(r"\(os error (\d+)\)", text)):
        code = int(match[1])
    if code in _ERRNO:
        return _ERRNO[code]
    for pattern, meaning in _S3.items():
        if re.search(pattern, text):
            return meaning
    # Server errors, resets, throttling: what obstore itself retries and then gives up on.
    return _Meaning(_first_line(error), None, TransientError)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:300]
