"""Reports that must not be believed, each made of the green one of a real gate by one change."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

Document = dict[str, Any]
Spoil = Callable[[Path, Document], object]


class BadReport(NamedTuple):
    """One kind: its name, and what puts it at a path, given the good report's document.

    ``elsewhere`` tells whether it is bad for a reader on another machine too. ``looks_now`` is one
    that is nothing to ``text`` and ``json``, which look at sessions now and take any age.
    """

    name: str
    spoil: Spoil
    elsewhere: bool = True
    looks_now: bool = False


def _document(change: Callable[[Document], object]) -> Spoil:
    def spoil(path: Path, document: Document) -> None:
        change(document)
        path.write_text(json.dumps(document))

    return spoil


def _key(**changes: Any) -> Spoil:
    return _document(lambda document: document["failover"].update(changes))


def _without(name: str) -> Spoil:
    return _document(lambda document: document["failover"].pop(name))


def _content(change: Callable[[bytes], bytes]) -> Spoil:
    return lambda path, document: path.write_bytes(change(json.dumps(document).encode()))


def _file(make: Callable[[Path], object]) -> Spoil:
    return lambda path, _: make(path)


def _session(**changes: Any) -> Spoil:
    return _document(lambda document: document["failover"]["sessions"][0].update(changes))


def _later(seconds: float) -> Spoil:
    def change(document: Document) -> None:
        for name in ("started", "finished"):
            document["failover"][name] += seconds

    return _document(change)


def _not_renewed(path: Path, document: Document) -> None:
    """Let a keeper that lives have said nothing for a minute."""
    start = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    document["failover"]["keeper"] = {"pid": os.getpid(), "start": int(start)}
    path.write_text(json.dumps(document))
    os.utime(path, (time.time() - 60, time.time() - 60))


def _a_test_less(document: Document) -> None:
    document["tests"].pop()
    document["failover"]["expected"] -= 1
    document["failover"]["passed"] -= 1


def _a_test_more(document: Document) -> None:
    document["tests"].append(document["tests"][0])


def _two_verdicts(content: bytes) -> bytes:
    return content.replace(b'"verdict":', b'"verdict": "red", "verdict":', 1)


_FAILURE = {"nodeid": "x", "invariant": "x", "account": None, "link": None, "session": None}
_FAILURE |= dict.fromkeys(("state", "expected", "found", "fix"), "x")
_SESSION = {"name": "x", "account": "x", "state": "stopped", "detail": None}

BAD = (
    # of another machine, time or inventory
    BadReport("another boot", _key(boot_id="x"), elsewhere=False),
    BadReport("no boot", _key(boot_id=None), elsewhere=False),
    BadReport("another inventory", _key(inventory="/other.toml"), elsewhere=False),
    BadReport("other demands", _key(demands="0" * 64), elsewhere=False),
    BadReport("no demands", _without("demands"), elsewhere=False),
    BadReport("old", _later(-(10**6)), looks_now=True),
    BadReport("from the future", _later(1000)),
    # kept by nobody
    BadReport("keeper is dead", _key(keeper={"pid": 1, "start": 10**9}), elsewhere=False),
    BadReport("keeper has no pid", _key(keeper={"pid": None, "start": None})),
    BadReport("keeper is empty", _key(keeper={})),
    BadReport("keeper is huge", _key(keeper={"pid": 10**20, "start": 0}), elsewhere=False),
    BadReport("keeper is infinite", _key(keeper={"pid": 1, "start": math.inf})),
    BadReport("keeper has said nothing", _not_renewed, elsewhere=False),
    # values of another type
    BadReport("finished is a text", _key(finished="1")),
    BadReport("finished is true", _key(finished=True)),
    BadReport("finished is infinite", _key(finished=math.inf)),
    BadReport("finished is too large for a float", _key(finished=10**400)),
    BadReport("ended before it began", _key(started=time.time() + 10**6)),
    BadReport("verdict in capitals", _key(verdict="GREEN")),
    BadReport("verdict is a list", _key(verdict=["green"])),
    BadReport("no verdict", _without("verdict")),
    BadReport("schema is true", _key(schema=True)),
    BadReport("schema is 1.0", _key(schema=1.0)),
    BadReport("schema is 2", _key(schema=2)),
    BadReport("counts are no whole numbers", _key(expected=24.0, passed=24.0)),
    BadReport("demands are a number", _key(demands=1)),
    BadReport("uptime is a text", _key(uptime="1")),
    BadReport("sessions are a text", _key(sessions="x")),
    BadReport("families that are off are a list", _key(off=["strays"])),
    # a contradiction
    BadReport("nothing is expected", _key(expected=0, passed=0)),
    BadReport("one less has passed", _key(passed=23)),
    BadReport("one more is expected", _key(expected=25, passed=25)),
    BadReport("a test is missing", _document(lambda document: document["tests"].pop())),
    BadReport("a test of the inventory is missing", _document(_a_test_less), elsewhere=False),
    BadReport("a test is there twice", _document(_a_test_more)),
    BadReport("no tests", _document(lambda document: document.update(tests=[]))),
    BadReport("no key of tests", _document(lambda document: document.pop("tests"))),
    BadReport("tests are an object", _document(lambda document: document.update(tests={}))),
    BadReport(
        "a test was skipped",
        _document(lambda document: document["tests"][0]["call"].update(outcome="skipped")),
    ),
    BadReport(
        "a test was not torn down", _document(lambda document: document["tests"][0].pop("teardown"))
    ),
    BadReport("exit code 1", _document(lambda document: document.update(exitcode=1))),
    BadReport("exit code false", _document(lambda document: document.update(exitcode=False))),
    BadReport("no exit code", _document(lambda document: document.pop("exitcode"))),
    BadReport("one failed", _document(lambda document: document["summary"].update(failed=1))),
    BadReport("a failure", _key(failures=[_FAILURE])),
    BadReport("a torn failure", _key(failures=[{"nodeid": "x"}])),
    BadReport("a reason", _key(reason="why")),
    BadReport("red without a failure", _key(verdict="red", passed=23)),
    BadReport("a held session", _session(state="held")),
    BadReport("a failed session", _session(state="failed", detail="no"), looks_now=True),
    BadReport("a session in no known state", _session(state="lost")),
    BadReport("a session is missing", _key(sessions=[]), elsewhere=False),
    BadReport(
        "a session is there twice",
        _document(lambda document: document["failover"]["sessions"].extend([_SESSION] * 2)),
    ),
    # no report
    BadReport("missing", _file(lambda path: None)),
    BadReport("a directory", _file(Path.mkdir)),
    BadReport("a pipe", _file(os.mkfifo)),
    BadReport("a device", _file(lambda path: path.symlink_to("/dev/zero"))),
    BadReport("a loop", _file(lambda path: path.symlink_to(path))),
    BadReport("empty", _content(lambda content: b"")),
    BadReport("torn", _content(lambda content: content[:300])),
    BadReport("twice in one file", _content(lambda content: content + b"\n" + content)),
    BadReport("too deep", _content(lambda content: b"[" * 100_000)),
    BadReport("no Unicode", _content(lambda content: b"\xff\xfe" + content)),
    BadReport("not ours", _content(lambda content: b'{"verdict": "green"}')),
    BadReport("two verdicts", _content(_two_verdicts)),
)
