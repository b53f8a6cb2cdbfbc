"""A small S3 server on loopback that verifies what a real one should: SHA-256 of body and part.

moto and `rclone serve s3` accept wrong checksums, so integrity cannot be tested against them.
Enough of S3 for obstore: put, get, head, delete, list, multi-part; path style, one bucket.
"""

import base64
import hashlib
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from tests.doubles.loopback import Exchange, LoopbackServer

NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class S3Server(LoopbackServer):
    """One bucket in memory; can damage what it is sent, and refuse everything."""

    def __init__(self, bucket: str) -> None:
        super().__init__(_S3Exchange)
        self.bucket = bucket
        self.objects: dict[str, bytes] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.damage_uploads = False
        self.refusal: tuple[int, str] | None = None
        self.requests: list[str] = []

    def answer_all_with(self, status: int, code: str) -> None:
        self.refusal = (status, code)


class _S3Exchange(Exchange):
    owner: S3Server

    def do_PUT(self) -> None:
        body = self._begin()
        if body is None:
            return
        if self.owner.damage_uploads and body:
            body = body[:-1] + bytes([body[-1] ^ 1])
        if not self._intact(body):
            self._fail(400, "BadDigest")
        elif "uploadId" in self.query:
            self.owner.parts[self.query["uploadId"]][int(self.query["partNumber"])] = body
            self.answer(headers={"ETag": f'"{hashlib.sha256(body).hexdigest()}"'})
        else:
            self.owner.objects[self.key] = body
            self.answer(headers={"ETag": f'"{hashlib.sha256(body).hexdigest()}"'})

    def do_POST(self) -> None:
        body = self._begin()
        if body is None:
            return
        if "uploads" in self.query:
            upload = f"upload-{len(self.owner.parts)}"
            self.owner.parts[upload] = {}
            self._xml(
                f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId>"
                "</InitiateMultipartUploadResult>"
            )
        elif "uploadId" in self.query:
            parts = self.owner.parts.pop(self.query["uploadId"])
            self.owner.objects[self.key] = b"".join(parts[n] for n in sorted(parts))
            self._xml(
                '<CompleteMultipartUploadResult><ETag>"x"</ETag></CompleteMultipartUploadResult>'
            )
        else:
            self._delete_many(body)

    def do_GET(self) -> None:
        if self._begin() is None:
            return
        if not self.key:
            self._list()
        else:
            self._object()

    def do_HEAD(self) -> None:
        if self._begin() is not None:
            self._object()

    def do_DELETE(self) -> None:
        if self._begin() is None:
            return
        if "uploadId" in self.query:
            self.owner.parts.pop(self.query["uploadId"], None)
        else:
            self.owner.objects.pop(self.key, None)
        self.answer(status=204)

    def _begin(self) -> bytes | None:
        """The body; None when the request is answered already."""
        parts = urlsplit(self.path)
        bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
        self.key = key
        pairs = parse_qs(parts.query, keep_blank_values=True)
        self.query = {name: values[0] for name, values in pairs.items()}
        body = self.body()
        self.owner.requests.append(f"{self.command} {key}")
        if self.owner.refusal:
            self._fail(*self.owner.refusal)
        elif bucket != self.owner.bucket:
            self._fail(404, "NoSuchBucket")
        else:
            return body
        return None

    def _intact(self, body: bytes) -> bool:
        digest = hashlib.sha256(body)
        stored = self.headers.get("x-amz-checksum-sha256")
        signed = self.headers.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
        return stored in (None, base64.b64encode(digest.digest()).decode()) and (
            signed in ("UNSIGNED-PAYLOAD", digest.hexdigest())
        )

    def _object(self) -> None:
        body = self.owner.objects.get(self.key)
        if body is None:
            self._fail(404, "NoSuchKey")
            return
        headers = {"ETag": '"x"', "Last-Modified": "Tue, 24 Nov 2026 08:00:00 GMT"}
        self.answer(body, headers)

    def _list(self) -> None:
        prefix = self.query.get("prefix", "")
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(body)}</Size><ETag>x</ETag>"
            "<LastModified>2026-11-24T08:00:00.000Z</LastModified></Contents>"
            for key, body in sorted(self.owner.objects.items())
            if key.startswith(prefix)
        )
        about = f"<Name>{self.owner.bucket}</Name><IsTruncated>false</IsTruncated>"
        self._xml(f"<ListBucketResult>{about}{rows}</ListBucketResult>")

    def _delete_many(self, body: bytes) -> None:
        keys = [
            element.text or ""
            for element in ElementTree.fromstring(body).iter()
            if element.tag.removeprefix(NAMESPACE) == "Key"
        ]
        for key in keys:
            self.owner.objects.pop(key, None)
        rows = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
        self._xml(f"<DeleteResult>{rows}</DeleteResult>")

    def _fail(self, status: int, code: str) -> None:
        text = f"<Error><Code>{code}</Code></Error>".encode()
        self.answer(text, {"Content-Type": "application/xml"}, status=status)

    def _xml(self, text: str) -> None:
        self.answer(text.encode(), {"Content-Type": "application/xml"})
