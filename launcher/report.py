"""The report: one JSON document for monitoring, replaced whole by rename, never torn."""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any

from invariants.inventory import Inventory, InventoryError
from invariants.safety import trusted_users
from invariants.schema import DEFAULT_STATE
from launcher import history
from launcher.demands import digest
from launcher.directories import make_readable
from launcher.errors import NotJudged
from launcher.output import Output
from launcher.processes import Process, boot_id, container_uptime
from launcher.replacing import replace_file
from launcher.sessions import SessionStatus
from launcher.trusted import open_trusted, refuse_link_of_others
from launcher.verdict import Colour, Gate, Verdict

SCHEMA = 1
_OPENING = b'{"failover":'


class NoReport(Exception):
    """What was read is no report that this version can read; the text says why.

    ``document`` is what was read, where it is one of another version: it may tell whose it is.
    """

    def __init__(self, text: str, document: Mapping[str, Any] | None = None) -> None:
        super().__init__(text)
        self.document = document or {}


def failover_key(
    inventory: Inventory,
    gate: Gate,
    sessions: Iterable[SessionStatus],
    keeper: Process | None = None,
) -> dict[str, Any]:
    """Return the report's ``failover`` key for one gate: what monitors and ``--json`` read.

    ``started`` and ``finished`` are seconds since the epoch; ``keeper``, where there is one, is
    the ``launcher watch`` that replaces the report when it is true no longer. No environment
    variable, no credential and nothing that a session printed is in it.
    """
    verdict = gate.verdict
    return {
        **_header(inventory.path, verdict),
        "demands": digest(inventory, gate.own),
        "started": round(gate.started, 3),
        "finished": round(gate.finished, 3),
        "expected": verdict.expected,
        "passed": verdict.passed,
        "off": dict(inventory.demands.off),
        "failures": [
            {"nodeid": failure.nodeid, **failure.finding.as_json()} for failure in verdict.failures
        ],
        "warnings": [warned.as_json() for warned in gate.warnings],
        "sessions": [session.as_report() for session in sessions],
        **({"keeper": {"pid": keeper.pid, "start": keeper.start}} if keeper else {}),
    }


def _header(inventory: str, verdict: Verdict) -> dict[str, Any]:
    uptime = container_uptime()
    return {
        "schema": SCHEMA,
        "verdict": verdict.colour.value,
        "reason": verdict.reason,
        "host": os.uname().nodename,
        "boot_id": boot_id(),
        "inventory": inventory,
        **({} if uptime is None else {"uptime": round(uptime, 3)}),
    }


def published(
    inventory: Inventory,
    gate: Gate,
    sessions: Iterable[SessionStatus],
    *,
    passing: bool = False,
    keeper: Process | None = None,
) -> Gate:
    """Publish *gate*; return it, turned unknown with the reason where that cannot be done.

    What is then known goes into the history and the metrics. If it is *passing*, said for as long
    as a launcher is at work, only a green verdict in the metrics turns unknown. Where these cannot
    be kept is said on standard error, no more.

    What a *keeper* publishes is not flushed to the disk: after a power cut the report is of
    another boot, and no longer counts, whatever it says.
    """
    sessions = tuple(sessions)
    if passing:
        _doubt_metrics(inventory)
    try:
        key = failover_key(inventory, gate, sessions, keeper)
        publish(inventory.settings.report, key, gate.document, durable=keeper is None)
    except NotJudged as error:
        reasons = [gate.verdict.reason, str(error)]
        reason = "; ".join(reason for reason in reasons if reason)
        verdict = gate.verdict._replace(colour=Colour.UNKNOWN, reason=reason)
        gate, passing = gate._replace(verdict=verdict), False
    if not passing:
        _say(history.record(inventory, gate))
        _tell_metrics(inventory, gate, sessions, keeper)
    return gate


def _doubt_metrics(inventory: Inventory) -> None:
    if inventory.settings.prometheus is not None:
        from launcher.metrics import doubt_metrics

        doubt_metrics(inventory)


def _tell_metrics(
    inventory: Inventory,
    gate: Gate,
    sessions: Iterable[SessionStatus],
    keeper: Process | None = None,
) -> None:
    if inventory.settings.prometheus is not None:
        from launcher.metrics import write_metrics

        key = failover_key(inventory, gate, sessions, keeper)
        _say(write_metrics(inventory, {**gate.document, "failover": key}))


def _say(problem: str | None) -> None:
    if problem is not None:
        Output().message(problem)


def announce(inventory: Inventory, reason: str, *, passing: bool = True) -> None:
    """Make the report unknown until a gate replaces it, which tells if that cannot be done.

    What is not *passing* is a gate that went wrong: the metrics know nothing either. Else only a
    green verdict in them is unknown.
    """
    if passing:
        _doubt_metrics(inventory)
    now = time.time()
    gate = Gate(Verdict(Colour.UNKNOWN, reason), {}, now, now)
    with suppress(NotJudged):
        publish(inventory.settings.report, failover_key(inventory, gate, ()), durable=False)
    if not passing:
        _tell_metrics(inventory, gate, ())


def take_back(inventory: Inventory, reason: str, *, unless_kept: bool = False) -> bool:
    """Make the report unknown if it says green; return whether it did.

    The lock is not needed for that: it makes nothing look better than it is. With *unless_kept*
    a report that another process keeps true is left to it.
    """
    try:
        if read(inventory.settings.report).get("verdict") != Colour.GREEN:
            return False
    except NotJudged:
        return False
    if unless_kept and living_keeper(inventory) is not None:
        return False
    announce(inventory, reason, passing=False)
    return True


def living_keeper(inventory: Inventory) -> Process | None:
    """Return the process, other than this one, that keeps the report true; None if none lives.

    One that has been killed and cannot die yet (a dead mount) keeps nothing true any more.
    """
    with suppress(NotJudged, KeyError, TypeError, ValueError, OverflowError):
        failover = read(inventory.settings.report)
        keeper = Process(int(failover["keeper"]["pid"]), int(failover["keeper"]["start"]))
        if failover["boot_id"] == boot_id() and keeper.pid != os.getpid():
            return keeper if keeper.is_alive() and not keeper.is_killed() else None
    return None


def disown(error: InventoryError) -> None:
    """Make report and metrics of a wrong or missing inventory unknown, where they can be found.

    It is found where the file still says so; else at the default place, if the report there is
    about this very inventory.
    """
    if error.metrics is not None:
        from launcher.metrics import disown_metrics

        _say(disown_metrics(error))
    path = error.report or os.path.expanduser(f"{DEFAULT_STATE}/report.json")
    with suppress(NotJudged):
        if error.report is None and read(path).get("inventory") not in error.paths:
            return
        now = round(time.time(), 3)
        reason = "the inventory is wrong or missing: " + "; ".join(error.problems)
        nothing: dict[str, Any] = {
            "off": {},
            "failures": [],
            "warnings": [],
            "sessions": [],
            "expected": 0,
            "passed": 0,
        }
        header = _header(error.paths[0], Verdict(Colour.UNKNOWN, reason))
        publish(path, {**header, "started": now, "finished": now, **nothing})


def publish(
    path: str,
    failover: dict[str, Any],
    document: dict[str, Any] | None = None,
    *,
    durable: bool = True,
) -> None:
    """Replace the report at *path*: written beside it, flushed to the disk, renamed over it.

    *document* is pytest's, where there is one. What is not *durable* is not flushed: a power cut
    may leave it empty, which reads as unknown too. A symlink of the user's own at *path* is
    followed. A file there that is no report is kept as ``PATH.before-report``. Raises
    NotJudged where the report cannot be published; then the old one no longer reads as today's,
    as far as that can be helped.
    """
    rest = {key: value for key, value in (document or {}).items() if key != "failover"}
    content = json.dumps({"failover": failover, **rest}).encode() + b"\n"
    try:
        destination = _destination(path)
        make_readable(os.path.dirname(destination))
        _keep_what_is_no_report(destination)
        replace_file(destination, content, durable=durable)
    except OSError as error:
        invalidated = _invalidate(path)
        reason = f"the report cannot be published: {path}: {error.strerror or error}"
        raise NotJudged(f"{reason}{invalidated}") from error


def read(path: str) -> dict[str, Any]:
    """Return the ``failover`` key of the report at *path*.

    Raises NotJudged, with what to do, where there is none or it cannot be made sense of.
    """
    failover: dict[str, Any] = read_document(path)["failover"]
    return failover


def read_document(path: str, users: Collection[int] | None = None) -> dict[str, Any]:
    """Return the whole report at *path*: pytest's document, where there was one, and our key.

    It counts only if nobody else than *users* (uids) can have written it: by default root and
    this process's user. Raises NotJudged, as :func:`read` does.
    """
    return read_file(path, users)[0]


def read_file(
    path: str, users: Collection[int] | None = None
) -> tuple[dict[str, Any], os.stat_result]:
    """Return what :func:`read_document` does, and the status of the very file that was read."""
    try:
        with open_trusted(path, trusted_users() if users is None else users) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise NotJudged(f"no report: {path} is no regular file")
            return parsed(file.read()), status
    except FileNotFoundError as error:
        raise NotJudged(f"no report yet at {path}: launcher check writes one") from error
    except OSError as error:
        raise NotJudged(f"the report cannot be read: {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise NotJudged(f"the report is torn: {path}: launcher check writes a new one") from error
    except NoReport as error:
        raise NotJudged(f"not a report of this version: {path}: {error}") from error


def parsed(content: bytes) -> dict[str, Any]:
    """Return the report that *content* is, as JSON has it.

    Raises ValueError or RecursionError where it is torn, NoReport where it is something else.
    """
    document = json.loads(content, object_pairs_hook=_object)
    failover = document.get("failover") if isinstance(document, dict) else None
    if not isinstance(failover, dict):
        raise NoReport("it is JSON, but no report")
    schema = failover.get("schema")
    if type(schema) is int and schema > SCHEMA:
        known = f"this claude-failover, which reads {SCHEMA}: upgrade it here"
        raise NoReport(f"it is of schema {schema}, newer than {known}", document)
    if type(schema) is not int or schema != SCHEMA:  # True is 1, too
        raise NoReport(f"it is of schema {schema!r}, and {SCHEMA} is read", document)
    return document  # type: ignore[no-any-return]  # a dictionary, as was just seen


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON; of a key that is there twice readers would differ in what counts.

    Raises NoReport for one.
    """
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NoReport("a key is in it twice")
    return found


def _destination(path: str) -> str:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return path
    if stat.S_ISLNK(status.st_mode):
        refuse_link_of_others(path, trusted_users())
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


def _invalidate(path: str) -> str:
    """Take an old report out of the way, or empty it; return what could not be helped.

    What a report would not be written to is left alone, whatever it holds.
    """
    try:
        destination = _destination(path)
        with open(destination, "rb") as file:
            if file.read(len(_OPENING)) != _OPENING:
                return ""
    except OSError:
        return ""
    try:
        os.unlink(destination)
        return ""
    except OSError:
        pass
    try:
        os.truncate(destination, 0)
        return ""
    except OSError as error:
        return f"; an older report still stands there ({error.strerror}): do not trust it"
