"""A completions server whose timing is known: the truth that the load harness is held against.

`python timed_model_server.py --ttft 0.08 --gap 0.01 --tokens 20`: prints its port, then serves
until its standard input ends. A prompt picks a behaviour by name, see `BEHAVIOURS`. `--stall 2
--every 6` stops the whole process for 2 s in every 6 s, counted from the first request.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable

Exchange = Callable[["Answer"], Awaitable[None]]


class Answer:
    """One request and the connection to answer it on."""

    def __init__(
        self, body: dict[str, object], writer: asyncio.StreamWriter, options: argparse.Namespace
    ) -> None:
        self.body = body
        self.writer = writer
        self.options = options
        self.arrived = time.monotonic()
        self.chat = "messages" in body
        self.keep = bool(options.keep_alive)

    async def until(self, seconds: float) -> None:
        """Wait until so many seconds after the arrival: delays do not add up over the tokens."""
        await asyncio.sleep(max(0.0, self.arrived + seconds - time.monotonic()))

    def head(self, status: str = "200 OK", kind: str = "text/event-stream") -> None:
        version, framing = (
            ("HTTP/1.1", "Transfer-Encoding: chunked\r\n") if self.keep else ("HTTP/1.0", "")
        )
        self.writer.write(f"{version} {status}\r\nContent-Type: {kind}\r\n{framing}\r\n".encode())

    async def send(self, payload: bytes) -> None:
        framed = b"%x\r\n%s\r\n" % (len(payload), payload) if self.keep else payload
        self.writer.write(framed)
        await self.writer.drain()

    async def event(self, found: object) -> None:
        await self.send(b"data: " + json.dumps(found).encode() + b"\n\n")

    async def token(self, text: str, finish: str | None = None) -> None:
        content = {"delta": {"content": text}} if self.chat else {"text": text}
        await self.event({"choices": [{"index": 0, **content, "finish_reason": finish}]})

    async def over(self) -> None:
        if self.keep:
            self.writer.write(b"0\r\n\r\n")
            await self.writer.drain()


async def answer(this: Answer, *, tokens: int | None = None, usage: bool = True) -> None:
    options = this.options
    count = options.tokens if tokens is None else tokens
    if not this.body.get("stream"):
        await whole(this, count)
        return
    this.head()
    await this.send(b": ping\n\n")
    if this.chat:
        await this.event({"choices": [{"delta": {"role": "assistant", "content": ""}}]})
    for number in range(count):
        await this.until(options.ttft + number * options.gap)
        await this.token(" word")
    await this.token("", "length")
    if usage:
        await this.event({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": count}})
    await this.send(b"data: [DONE]\n\n")
    await this.over()


async def whole(this: Answer, count: int) -> None:
    await this.until(this.options.ttft + (count - 1) * this.options.gap)
    text = " word" * count
    content = {"message": {"content": text}} if this.chat else {"text": text}
    found = {
        "choices": [{**content, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": count},
    }
    this.head(kind="application/json")
    await this.send(json.dumps(found).encode())
    await this.over()


async def refuse(this: Answer) -> None:
    this.head("500 Internal Server Error", "application/json")
    await this.send(b'{"error": "out of slots"}')
    await this.over()


async def cut(this: Answer) -> None:
    """Three tokens, then the connection is closed."""
    this.head()
    for _ in range(3):
        await this.token(" word")
    this.keep = False


async def unfinished(this: Answer) -> None:
    """A well-formed HTTP answer that stops without a finish reason and without [DONE]."""
    this.head()
    await this.token(" word")
    await this.over()


async def silent(this: Answer) -> None:
    """Headers, then nothing for ever."""
    this.head()
    await this.writer.drain()
    await asyncio.sleep(3600)


async def flood(this: Answer) -> None:
    """Comments for ever, as a keep-alive of a prompt that is never done."""
    this.head()
    while True:
        await this.send(b": keepalive\n\n")
        await asyncio.sleep(0.01)


async def broken(this: Answer) -> None:
    """An error event after the first token, as vLLM sends it, then [DONE]."""
    this.head()
    await this.token(" word")
    await this.event({"error": {"message": "engine died"}})
    await this.send(b"data: [DONE]\n\n")
    await this.over()


async def garbage(this: Answer) -> None:
    this.keep = False
    this.writer.write(b"\x00\x01 this is not HTTP\r\n\r\n")
    await this.writer.drain()


async def hang_up(this: Answer) -> None:
    this.keep = False


async def uncounted(this: Answer) -> None:
    await answer(this, usage=False)


async def wordless(this: Answer) -> None:
    await answer(this, tokens=0)


async def unterminated(this: Answer) -> None:
    """Ends with [DONE] but without a newline after it."""
    this.head()
    await this.token(" word")
    await this.send(b"data: [DONE]")
    await this.over()


BEHAVIOURS: dict[str, Exchange] = {
    "refuse": refuse,
    "cut": cut,
    "unfinished": unfinished,
    "silent": silent,
    "flood": flood,
    "broken": broken,
    "garbage": garbage,
    "hang up": hang_up,
    "uncounted": uncounted,
    "wordless": wordless,
    "unterminated": unterminated,
}


class Server:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.stalling = False
        self.connections = 0

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            if self.options.single and self.connections > 1:
                return
            while await self.request(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if b"content-length:" in line]
        body = json.loads(await reader.readexactly(int(lengths[0].split(b":")[1])))
        self.start_stalling()
        this = Answer(body, writer, self.options)
        await BEHAVIOURS.get(str(body.get("prompt")), answer)(this)
        return this.keep

    def start_stalling(self) -> None:
        if self.options.stall and not self.stalling:
            self.stalling = True
            loop = asyncio.get_running_loop()
            loop.call_later(self.options.every - self.options.stall, self.stall)

    def stall(self) -> None:
        asyncio.get_running_loop().call_later(self.options.every, self.stall)
        time.sleep(self.options.stall)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ttft", type=float, default=0.08)
    parser.add_argument("--gap", type=float, default=0.01)
    parser.add_argument("--tokens", type=int, default=20)
    parser.add_argument("--stall", type=float, default=0.0)
    parser.add_argument("--every", type=float, default=6.0)
    parser.add_argument("--keep-alive", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--single", action="store_true", help="take only the first connection")
    server = Server(parser.parse_args())
    listening = await asyncio.start_server(server.connection, "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{listening.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
