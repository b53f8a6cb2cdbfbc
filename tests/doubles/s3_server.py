"""A small S3 server on loopback that verifies what a real one should: SHA-256 of body and part.

moto and `rclone serve s3` accept wrong checksums, so integrity cannot be tested against them.
Enough of S3 for obstore: put, get, head, delete, list, multi-part; path style, one bucket.
"""

import base64
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class S3Server:
    """Runs in threads of this process while the `with` block lasts."""

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket
        self.objects: dict[str, bytes] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.damage_uploads = False
        self.refusal: tuple[int, str] | None = None
        self.requests: list[str] = []
        outer = self

        class Handler(_Handler):
            server_state = outer

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def answer_all_with(self, status: int, code: str) -> None:
        self.refusal = (status, code)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_state: S3Server

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def do_PUT(self) -> None:
        body = self._begin()
        if body is None:
            return
        if self.server_state.damage_uploads and body:
            body = body[:-1] + bytes([body[-1] ^ 1])
        if not self._intact(body):
            self._fail(400, "BadDigest")
        elif "uploadId" in self.query:
            self.server_state.parts[self.query["uploadId"]][int(self.query["partNumber"])] = body
            self._reply(200, headers={"ETag": f'"{hashlib.sha256(body).hexdigest()}"'})
        else:
            self.server_state.objects[self.key] = body
            self._reply(200, headers={"ETag": f'"{hashlib.sha256(body).hexdigest()}"'})

    def do_POST(self) -> None:
        body = self._begin()
        if body is None:
            return
        if "uploads" in self.query:
            upload = f"upload-{len(self.server_state.parts)}"
            self.server_state.parts[upload] = {}
            self._xml(
                f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId>"
                "</InitiateMultipartUploadResult>"
            )
        elif "uploadId" in self.query:
            parts = self.server_state.parts.pop(self.query["uploadId"])
            self.server_state.objects[self.key] = b"".join(parts[n] for n in sorted(parts))
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
            self._object(send_body=True)

    def do_HEAD(self) -> None:
        if self._begin() is not None:
            self._object(send_body=False)

    def do_DELETE(self) -> None:
        if self._begin() is None:
            return
        if "uploadId" in self.query:
            self.server_state.parts.pop(self.query["uploadId"], None)
        else:
            self.server_state.objects.pop(self.key, None)
        self._reply(204)

    def _begin(self) -> bytes | None:
        """The body; None when the request is answered already."""
        parts = urlsplit(self.path)
        bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
        self.key = key
        pairs = parse_qs(parts.query, keep_blank_values=True)
        self.query = {name: values[0] for name, values in pairs.items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server_state.requests.append(f"{self.command} {key}")
        if self.server_state.refusal:
            self._fail(*self.server_state.refusal)
        elif bucket != self.server_state.bucket:
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

    def _object(self, *, send_body: bool) -> None:
        body = self.server_state.objects.get(self.key)
        if body is None:
            self._fail(404, "NoSuchKey")
            return
        headers = {"ETag": '"x"', "Last-Modified": "Tue, 24 Nov 2026 08:00:00 GMT"}
        self._reply(200, body, headers, send_body=send_body)

    def _list(self) -> None:
        prefix = self.query.get("prefix", "")
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(body)}</Size><ETag>x</ETag>"
            "<LastModified>2026-11-24T08:00:00.000Z</LastModified></Contents>"
            for key, body in sorted(self.server_state.objects.items())
            if key.startswith(prefix)
        )
        self._xml(f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>")

    def _delete_many(self, body: bytes) -> None:
        keys = [
            element.text or ""
            for element in ElementTree.fromstring(body).iter()
            if element.tag.removeprefix(NAMESPACE) == "Key"
        ]
        for key in keys:
            self.server_state.objects.pop(key, None)
        rows = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
        self._xml(f"<DeleteResult>{rows}</DeleteResult>")

    def _fail(self, status: int, code: str) -> None:
        self._reply(
            status, f"<Error><Code>{code}</Code></Error>".encode(), send_body=self.command != "HEAD"
        )

    def _xml(self, text: str) -> None:
        self._reply(200, text.encode(), {"Content-Type": "application/xml"})

    def _reply(
        self,
        status: int,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        *,
        send_body: bool = True,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if send_body:
            self.wfile.write(body)
