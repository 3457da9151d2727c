"""What the listener answers, as a WSGI application (PEP 3333): reads the report, and no more."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Any

from invariants.inventory import InventoryError
from launcher.history import History
from launcher.page.timeline import history_of
from launcher.reading import Reading, read_report, without_inventory
from launcher.trusted import loaded

PATIENCE = 5.0
"""Seconds that a request waits for the report's file system."""

StartResponse = Callable[[str, list[tuple[str, str]]], object]
_HEADERS = [
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
]
_TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: its status line, its content, of which type, and further headers."""

    status: str
    content: str
    kind: str = _TEXT
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """What is read for a request: the report, and its history where that was asked for."""

    reading: Reading
    history: History


class Reader:
    """Reads for all requests, once at a time, and lets none wait for long.

    A file system that hangs holds one thread, however many ask; they are told that it hangs.
    """

    def __init__(self, look: Callable[[], Seen], patience: float = PATIENCE) -> None:
        self._look = look
        self._patience = patience
        self._pool = ThreadPoolExecutor(1)
        self._lock = Lock()
        self._pending: Future[Seen] | None = None

    def __call__(self) -> Seen:
        """Return what is there now. Raises TimeoutError where that cannot be told in time."""
        with self._lock:
            if self._pending is None or self._pending.done():
                self._pending = self._pool.submit(self._look)
            pending = self._pending
        return pending.result(self._patience)


def look(inventory: str, max_age: float) -> Seen:
    """Read the inventory at its path, its report and its history: all anew, since all change."""
    try:
        about = loaded(inventory)
    except InventoryError as error:
        return Seen(without_inventory(error, max_age), History())
    return Seen(read_report(about, max_age), history_of(about))


class Application:
    """Answers GET and HEAD of four paths. ``is_open`` has it look at the Host header too.

    On a port of the loopback a browser of this machine could be made to ask by a page from
    elsewhere, whose name was pointed here (DNS rebinding): so it must ask by a loopback's name.
    """

    def __init__(self, reader: Reader, *, is_open: bool) -> None:
        self._reader = reader
        self._is_open = is_open

    def __call__(self, environ: Mapping[str, Any], start: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        answer = self._answer(environ)
        content = answer.content.encode("utf-8", "backslashreplace")
        length = ("Content-Length", str(len(content)))
        start(answer.status, [("Content-Type", answer.kind), length, *_HEADERS, *answer.headers])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [content]

    def _answer(self, environ: Mapping[str, Any]) -> Answer:
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return Answer(
                "405 Method Not Allowed", "GET or HEAD\n", headers=(("Allow", "GET, HEAD"),)
            )
        if self._is_open and not _is_local(str(environ.get("HTTP_HOST", ""))):
            return Answer("421 Misdirected Request", "ask for 127.0.0.1 or localhost\n")
        answers = {"/healthz": _health, "/report": _report, "/metrics": _metrics, "/": _page}
        answer = answers.get(str(environ["PATH_INFO"]))
        if answer is None:
            return Answer("404 Not Found", f"there is {', '.join(answers)}\n")
        try:
            return answer(self._reader())
        except TimeoutError:
            text = "unknown: the report cannot be read in time: a file system may hang\n"
            return Answer("503 Service Unavailable", text)


def _is_local(host: str) -> bool:
    """Tell whether a Host header names the loopback: by address, or as localhost."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def _health(seen: Seen) -> Answer:
    from invariants.warning import counted
    from launcher.formats.words import plain

    reading = seen.reading
    warned = f"; {counted(reading.warnings)}" if reading.warnings else ""
    status = "200 OK" if reading.code == 0 else "503 Service Unavailable"
    return Answer(status, f"{reading.verdict.value}: {plain(reading.summary)}{warned}\n")


def _report(seen: Seen) -> Answer:
    """Return the report as it is, whatever it says and however old it is; 503 for none."""
    document = seen.reading.document
    if document is None:
        problem = {"problem": seen.reading.problem}
        return Answer("503 Service Unavailable", json.dumps(problem) + "\n", "application/json")
    return Answer("200 OK", json.dumps(document) + "\n", "application/json")


def _metrics(seen: Seen) -> Answer:
    from launcher.formats.prometheus import CONTENT_TYPE, show

    return Answer("200 OK", show(seen.reading).text, CONTENT_TYPE)


def _page(seen: Seen) -> Answer:
    from launcher.page import page, policy

    headers = (("Content-Security-Policy", f"{policy()}; frame-ancestors 'none'"),)
    kind = "text/html; charset=utf-8"
    return Answer("200 OK", page(seen.reading, seen.history), kind, headers)
