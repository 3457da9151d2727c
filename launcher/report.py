"""The report: one JSON document for monitoring, replaced whole by rename, never torn."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import stat
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from invariants.inventory import Inventory, InventoryError
from invariants.schema import DEFAULT_STATE
from launcher.errors import NotJudged
from launcher.gate import Gate
from launcher.processes import boot_id
from launcher.sessions import SessionStatus
from launcher.verdict import Colour, Verdict

SCHEMA = 1
MODE = 0o644
_OPENING = b'{"failover":'


def failover_key(
    inventory: Inventory, gate: Gate, sessions: Iterable[SessionStatus]
) -> dict[str, Any]:
    """Return the report's ``failover`` key for one gate: what monitors and ``--json`` read.

    ``started`` and ``finished`` are seconds since the epoch. No environment variable, no
    credential and nothing that a session printed is in it.
    """
    verdict = gate.verdict
    return {
        **_header(inventory.path, verdict),
        "started": round(gate.started, 3),
        "finished": round(gate.finished, 3),
        "expected": verdict.expected,
        "passed": verdict.passed,
        "failures": [
            {"nodeid": failure.nodeid, **failure.finding.as_json()} for failure in verdict.failures
        ],
        "sessions": [session.as_report() for session in sessions],
    }


def _header(inventory: str, verdict: Verdict) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "verdict": verdict.colour.value,
        "reason": verdict.reason,
        "host": socket.gethostname(),
        "boot_id": boot_id(),
        "inventory": inventory,
    }


def published(inventory: Inventory, gate: Gate, sessions: Iterable[SessionStatus]) -> Gate:
    """Publish *gate*; return it, turned unknown with the reason where that cannot be done."""
    try:
        key = failover_key(inventory, gate, sessions)
        publish(inventory.settings.report, key, gate.document)
    except NotJudged as error:
        reasons = [gate.verdict.reason, str(error)]
        reason = "; ".join(reason for reason in reasons if reason)
        verdict = replace(gate.verdict, colour=Colour.UNKNOWN, reason=reason)
        return replace(gate, verdict=verdict)
    return gate


def announce(inventory: Inventory, reason: str) -> None:
    """Make the report unknown until a gate replaces it, which tells if that cannot be done."""
    now = time.time()
    gate = Gate(Verdict(Colour.UNKNOWN, reason), {}, now, now)
    with suppress(NotJudged):
        publish(inventory.settings.report, failover_key(inventory, gate, ()))


def disown(error: InventoryError) -> None:
    """Make the report of an inventory that is wrong or missing unknown, where it can be found.

    It is found where the file still says so; else at the default place, if the report there is
    about this very inventory.
    """
    path = error.report or os.path.expanduser(f"{DEFAULT_STATE}/report.json")
    with suppress(NotJudged):
        if error.report is None and read(path).get("inventory") not in error.paths:
            return
        now = round(time.time(), 3)
        reason = "the inventory is wrong or missing: " + "; ".join(error.problems)
        nothing: dict[str, Any] = {"failures": [], "sessions": [], "expected": 0, "passed": 0}
        header = _header(error.paths[0], Verdict(Colour.UNKNOWN, reason))
        publish(path, {**header, "started": now, "finished": now, **nothing})


def publish(path: str, failover: dict[str, Any], document: dict[str, Any] | None = None) -> None:
    """Replace the report at *path*: written beside it, flushed to the disk, renamed over it.

    *document* is pytest's, where there is one. A symlink of the user's own at *path* is
    followed. A file there that is no report is kept as ``PATH.before-report``. Raises
    NotJudged where the report cannot be published; then the old one no longer reads as today's,
    as far as that can be helped.
    """
    rest = {key: value for key, value in (document or {}).items() if key != "failover"}
    content = json.dumps({"failover": failover, **rest}).encode() + b"\n"
    try:
        destination = _destination(path)
        os.makedirs(os.path.dirname(destination), mode=0o755, exist_ok=True)
        _keep_what_is_no_report(destination)
        _replace(destination, content)
    except OSError as error:
        invalidated = _invalidate(path)
        reason = f"the report cannot be published: {path}: {error.strerror or error}"
        raise NotJudged(f"{reason}{invalidated}") from error


def read(path: str) -> dict[str, Any]:
    """Return the ``failover`` key of the report at *path*.

    Raises NotJudged, with what to do, where there is none or it cannot be made sense of.
    """
    try:
        with open(path, "rb") as file:
            document = json.load(file)
    except FileNotFoundError as error:
        raise NotJudged(f"no report yet at {path}: run launcher check") from error
    except OSError as error:
        raise NotJudged(f"the report cannot be read: {path}: {error.strerror}") from error
    except ValueError as error:
        raise NotJudged(f"the report is torn: {path}: run launcher check") from error
    failover = document.get("failover") if isinstance(document, dict) else None
    if not isinstance(failover, dict) or failover.get("schema") != SCHEMA:
        raise NotJudged(f"not a report of this version: {path}")
    return failover


def _destination(path: str) -> str:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return path
    if stat.S_ISLNK(status.st_mode):
        if status.st_uid not in (0, os.geteuid()):
            raise OSError(errno.EPERM, "it is a symlink of another user's")
        path = os.path.realpath(path, strict=False)
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            return path
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "something that is no regular file stands there")
    return path


def _keep_what_is_no_report(path: str) -> None:
    """Give a file that this program did not write a second name before it is replaced."""
    try:
        with open(path, "rb") as file:
            head = file.read(len(_OPENING))
    except FileNotFoundError:
        return
    if head and head != _OPENING:
        try:
            os.link(path, f"{path}.before-report")
        except FileExistsError as error:
            raise OSError(
                errno.EEXIST, f"a file that is no report stands there, and {path}.before-report too"
            ) from error


def _replace(path: str, content: bytes) -> None:
    directory, name = os.path.split(path)
    beside = os.path.join(directory, f".{name}.{os.getpid()}.new")
    _sweep(directory, name)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        with open(os.open(beside, flags, MODE), "wb") as file:
            os.fchmod(file.fileno(), MODE)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(beside, path)
    except BaseException:
        try:
            os.unlink(beside)
        except FileNotFoundError:
            pass
        raise
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(directory: str, name: str) -> None:
    """Remove what launchers that were killed between writing and renaming left behind."""
    pattern = re.compile(rf"\.{re.escape(name)}\.(\d+)\.new")
    for entry in os.listdir(directory):
        match = pattern.fullmatch(entry)
        if match and (match[1] == str(os.getpid()) or not os.path.exists(f"/proc/{match[1]}")):
            os.unlink(os.path.join(directory, entry))


def _invalidate(path: str) -> str:
    """Take an old report out of the way, or empty it; return what could not be helped."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return ""
        with open(path, "rb") as file:
            if file.read(len(_OPENING)) != _OPENING:
                return ""
    except OSError:
        return ""
    try:
        os.unlink(os.path.realpath(path))
        return ""
    except OSError:
        pass
    try:
        os.truncate(path, 0)
        return ""
    except OSError as error:
        return f"; an older report still stands there ({error.strerror}): do not trust it"
