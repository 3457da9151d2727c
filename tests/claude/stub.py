"""A stub of the Anthropic Messages API, for tests of a program that talks to it.

    with Stub() as stub:
        stub.script(ToolUse("Bash", {"command": "date"}), "It is late.")
        run(program, env={"ANTHROPIC_BASE_URL": stub.url, "ANTHROPIC_API_KEY": "dummy"})
        request = stub.wait_for(lambda seen: "date" in seen.text)

One file, the standard library only, bound to loopback. Every request is kept, in order, with its
headers and its body; a test waits for one by a condition. Answers are scripted, see `Stub.script`.
``python -m tests.claude.stub`` serves by hand and prints a line for each request.

Shapes of answers: https://docs.claude.com/en/api/messages, messages-streaming and errors.
"""

from __future__ import annotations

import argparse
import itertools
import json
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

_ERRORS = {
    400: ("invalid_request_error", "The request is not valid."),
    401: ("authentication_error", "invalid x-api-key"),
    403: ("permission_error", "This key may not use this resource."),
    404: ("not_found_error", "Not found"),
    429: ("rate_limit_error", "This request would exceed your account's rate limit."),
    500: ("api_error", "Internal server error"),
    529: ("overloaded_error", "Overloaded"),
}


@dataclass(frozen=True, slots=True)
class Text:
    """A block of text in an answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A block that asks the client to use one of its tools."""

    name: str
    input: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of several blocks, or one that is slow or broken off.

    A stream stops in the middle of its first block until *hold* is set; with *cut* the
    connection is reset there instead of going on.
    """

    blocks: Sequence[Text | ToolUse]
    hold: threading.Event | None = None
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """An HTTP error: its status, with the body that the API has for it.

    ``Failure(429, {"retry-after": "1"})`` asks the client to come back;
    ``{"x-should-retry": "false"}`` tells Anthropic's own clients to give up at once.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> dict[str, Any]:
        """The JSON document of this error."""
        kind, message = _ERRORS.get(self.status, _ERRORS[500])
        return {"type": "error", "error": {"type": kind, "message": message}}


Answer = str | Text | ToolUse | Reply | Failure
"""What can be scripted; a plain string is a `Text`."""


@dataclass(frozen=True)
class Request:
    """One request as it came: header names are in lower case, the body is parsed JSON."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any

    @property
    def key(self) -> str | None:
        """The API key that it carries, or the token of a login."""
        token = self.headers.get("authorization", "").removeprefix("Bearer ")
        return self.headers.get("x-api-key") or token or None

    @property
    def is_message(self) -> bool:
        """Whether it asks for a message (token counts do not)."""
        return self.method == "POST" and self.path.partition("?")[0] == "/v1/messages"

    @property
    def is_turn(self) -> bool:
        """Whether it is a turn of a conversation with tools.

        Clients ask for titles, quota and the like beside it, and offer no tools then. Claude Code
        2.0 also warms up agents beside a conversation, with tools.
        """
        return self.is_message and bool(self.body.get("tools")) and '"Warmup"' not in self.text

    @cached_property
    def text(self) -> str:
        """All of its messages as one JSON text, to look for words in."""
        return json.dumps(self.body.get("messages")) if isinstance(self.body, dict) else ""

    @property
    def tool_results(self) -> list[dict[str, Any]]:
        """The results of tools in its last message."""
        messages = self.body.get("messages") if isinstance(self.body, dict) else None
        content = messages[-1].get("content") if messages else None
        blocks = content if isinstance(content, list) else []
        return [block for block in blocks if block.get("type") == "tool_result"]


class Stub:
    """A server on a free port of 127.0.0.1, from construction to `close`.

    *url* is for ``ANTHROPIC_BASE_URL``. *default* answers what no script is for.
    """

    def __init__(self, default: Answer = "ok", port: int = 0) -> None:
        self.default = default
        self.on_request: Callable[[Request], object] = lambda request: None
        self._script: deque[Answer] = deque()
        self._refused: dict[str, Failure] = {}
        self._seen: list[Request] = []
        self._changed = threading.Condition()
        self._holds: list[threading.Event] = []
        self._numbers = itertools.count(1)
        self._server = _Server(("127.0.0.1", port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def url(self) -> str:
        """The address, without a slash at its end."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def requests(self) -> list[Request]:
        """All requests until now, oldest first."""
        with self._changed:
            return list(self._seen)

    @property
    def turns(self) -> list[Request]:
        """The turns of conversations among them, see `Request.is_turn`."""
        return [request for request in self.requests if request.is_turn]

    def script(self, *answers: Answer) -> None:
        """Queue answers: one for each turn to come, in order, retries included."""
        with self._changed:
            self._script.extend(answers)

    def refuse(self, key: str, failure: Failure) -> None:
        """Answer whatever comes with this API key with an error: an account at its limit, say."""
        with self._changed:
            self._refused[key] = failure

    def wait_for(
        self, condition: Callable[[Request], bool], seconds: float = 60.0, after: int = 0
    ) -> Request:
        """Return the first request that *condition* is true of, once it has come.

        The first *after* requests do not count: ``len(stub.requests)``, taken before. Raises
        TimeoutError when none comes in *seconds*.
        """
        found: list[Request] = []

        def has_come() -> bool:
            found[:] = [seen for seen in self._seen[after:] if condition(seen)][:1]
            return bool(found)

        with self._changed:
            if not self._changed.wait_for(has_come, seconds):
                lines = [f"{seen.method} {seen.path}" for seen in self._seen[after:]]
                raise TimeoutError(f"no such request in {seconds:g} s; there were {lines}")
        return found[0]

    def close(self) -> None:
        """Let held streams go, drop all connections, end all threads."""
        with self._changed:
            holds = list(self._holds)
        self._server.shutdown()
        self._server.drop()
        for hold in holds:
            hold.set()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self, request: Request) -> Reply | Failure:
        """Note a request and return the answer for it."""
        with self._changed:
            answer = self._next(request)
            if isinstance(answer, str):
                answer = Text(answer)
            if isinstance(answer, Text | ToolUse):
                answer = Reply([answer])
            if isinstance(answer, Reply) and answer.hold is not None:
                self._holds.append(answer.hold)
            self._note(request)
        return answer

    def _next(self, request: Request) -> Answer:
        if request.key in self._refused:
            return self._refused[request.key]
        return self._script.popleft() if request.is_turn and self._script else self.default

    def _note(self, request: Request) -> None:
        with self._changed:
            self._seen.append(request)
            self._changed.notify_all()
        self.on_request(request)


class _Server(ThreadingHTTPServer):
    """Knows its open connections, so that `Stub.close` can end the threads that read them."""

    daemon_threads = False  # or server_close would not wait for them

    def __init__(self, address: tuple[str, int], stub: Stub) -> None:
        self.stub = stub
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that are killed in the middle are what this server is for."""

    def drop(self) -> None:
        """Wake every thread that waits for a client."""
        with self._lock:
            for connection in self._open:
                with suppress(OSError):  # the client was faster
                    connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        """Answer a message, or a count of tokens; anything else is not there."""
        request = self._request()
        stub = self.server.stub
        if request.is_message:
            answer = stub._take(request)
            if isinstance(answer, Failure):
                self._json(answer.status, answer.body, answer.headers)
            elif request.body.get("stream"):
                self._stream(answer, request.body)
            else:
                self._json(200, self._message(answer, request.body))
            return
        stub._note(request)
        if request.path.partition("?")[0] == "/v1/messages/count_tokens":
            self._json(200, {"input_tokens": _tokens(request.body)})
        else:
            self._json(404, Failure(404).body)

    def do_GET(self) -> None:
        """Note it; there is nothing to get. Clients look whether the server is there at all."""
        self.server.stub._note(self._request())
        self._json(404, Failure(404).body)

    def do_HEAD(self) -> None:
        """Answer as GET, without a body."""
        self.do_GET()

    def do_CONNECT(self) -> None:
        """Note and refuse what a client wants elsewhere, with this server as its proxy."""
        self.server.stub._note(self._request())
        self.close_connection = True
        self._json(403, Failure(403).body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Print nothing: requests are kept."""

    def _request(self) -> Request:
        content = self.rfile.read(int(self.headers.get("content-length") or 0))
        try:
            body = json.loads(content) if content else None
        except ValueError:
            body = content.decode(errors="replace")
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Request(self.command, self.path, headers, body)

    def _json(
        self, status: int, document: object, headers: Mapping[str, str] | None = None
    ) -> None:
        content = json.dumps(document).encode()
        self._head(status, {"content-type": "application/json", **(headers or {})})
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        self.send_header("request-id", f"req_stub_{next(self.server.stub._numbers)}")
        for name, value in headers.items():
            self.send_header(name, value)

    def _message(self, reply: Reply, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the message that a reply is, as an answer to *body*."""
        number = next(self.server.stub._numbers)
        wants_tool = any(isinstance(block, ToolUse) for block in reply.blocks)
        return {
            "id": f"msg_stub_{number}",
            "type": "message",
            "role": "assistant",
            "model": body.get("model"),
            "content": [_block(block, f"{number}_{n}") for n, block in enumerate(reply.blocks)],
            "stop_reason": "tool_use" if wants_tool else "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": _tokens(body), "output_tokens": 1},
        }

    def _stream(self, reply: Reply, body: Mapping[str, Any]) -> None:
        """Send a reply as server-sent events."""
        self._head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
        self.end_headers()
        interrupted = False
        for event in _events(self._message(reply, body)):
            self._chunk(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
            if event["type"] == "content_block_delta" and not interrupted:
                interrupted = True
                if reply.hold is not None:
                    reply.hold.wait()
                if reply.cut:
                    self.close_connection = True
                    return
        self._chunk(b"")

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(content), content))
        self.wfile.flush()


def _block(block: Text | ToolUse, number: str) -> dict[str, Any]:
    if isinstance(block, Text):
        return {"type": "text", "text": block.text}
    use = {"id": f"toolu_stub_{number}", "name": block.name, "input": dict(block.input)}
    return {"type": "tool_use", **use}


def _events(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the events of a stream that carries *message*."""
    start = {**message, "content": [], "stop_reason": None}
    yield {"type": "message_start", "message": start}
    for index, block in enumerate(message["content"]):
        if block["type"] == "text":
            empty, deltas = {**block, "text": ""}, _deltas("text_delta", "text", block["text"])
        else:
            partial = json.dumps(block["input"])
            empty = {**block, "input": {}}
            deltas = _deltas("input_json_delta", "partial_json", partial)
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    end = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": end, "usage": message["usage"]}
    yield {"type": "message_stop"}


def _deltas(kind: str, name: str, text: str) -> list[dict[str, str]]:
    """Split *text* over two deltas, so that a stream has a middle."""
    half = (len(text) + 1) // 2
    return [{"type": kind, name: part} for part in (text[:half], text[half:])]


def _tokens(body: object) -> int:
    """Return a plausible number of tokens for a request."""
    return 1 + len(json.dumps(body)) // 4


def main() -> None:
    """Serve until interrupted; print the address, then a line for each request."""
    parser = argparse.ArgumentParser(description=Stub.__doc__)
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--text", default="ok", help="the answer to everything")
    arguments = parser.parse_args()
    with Stub(arguments.text, arguments.port) as stub:
        stub.on_request = lambda seen: print(seen.method, seen.path, seen.text[-200:], flush=True)
        print(f"ANTHROPIC_BASE_URL={stub.url}", flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
