"""The history of verdicts: what changed with which gate, and since when each failure stands.

It is one JSON document in the state directory, replaced whole and bounded in size. A gate that
changes nothing writes nothing.
"""

import json
import os
import stat
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Self

from invariants.finding import Finding
from invariants.inventory import Inventory
from invariants.naming import place_of, title_of
from launcher.directories import make_readable
from launcher.errors import NotJudged
from launcher.replacing import replace_file
from launcher.trusted import open_trusted, users_of
from launcher.verdict import Colour, Failure, Gate

SCHEMA = 1
MAX_CHANGES = 500
MAX_BYTES = 128 * 1024
"""How much of the changes is kept; the oldest go first."""
MAX_LISTED = 100
"""How many failures one change lists; the rest it counts."""
MAX_REASON = 1000

_FIELDS = ("invariant", "account", "link", "session", "state")


class Failing(NamedTuple):
    """A check that does not pass: which, in which state, and since when (epoch seconds)."""

    invariant: str
    account: str | None
    link: str | None
    session: str | None
    state: str
    since: float

    @property
    def place(self) -> str:
        """Where it is, as a person names it: ``backup projects``, ``session api``."""
        return place_of(self.invariant, self.state, self.account, self.link, self.session)

    @property
    def title(self) -> str:
        """Where and what, in a few words, and always with the account."""
        return title_of(self.invariant, self.state, self.account, self.link, self.session)

    def as_json(self) -> dict[str, Any]:
        """Return the fields, named as in a report's failure."""
        return {**{name: getattr(self, name) for name in _FIELDS}, "since": self.since}


_NONE: tuple[Failing, ...] = ()


class Change(NamedTuple):
    """One gate that told something else than the gate before it.

    ``at`` is when it finished (epoch seconds); ``appeared`` and ``mended`` are the failures that
    came and went with it, at most ``MAX_LISTED`` of each; ``more`` counts those left out;
    ``failures`` is how many there were in all.
    """

    at: float
    inventory: str
    verdict: str
    reason: str | None
    appeared: tuple[Failing, ...]
    mended: tuple[Failing, ...]
    more: int
    failures: int

    def as_json(self) -> dict[str, Any]:
        """Return the change as the file and ``history --json`` have it."""
        return {
            "at": self.at,
            "inventory": self.inventory,
            "verdict": self.verdict,
            "reason": self.reason,
            "appeared": [one.as_json() for one in self.appeared],
            "mended": [one.as_json() for one in self.mended],
            "more": self.more,
            "failures": self.failures,
        }


class History(NamedTuple):
    """The last gate's verdict with its beginning, what fails and since when, and the changes.

    ``verdict`` and ``since`` are None before the first gate. ``standing`` is what the last gate
    that could be judged found: what nobody could look at is not mended by that. ``changes`` are
    the oldest first.
    """

    inventory: str | None = None
    verdict: str | None = None
    since: float | None = None
    standing: tuple[Failing, ...] = ()
    changes: tuple[Change, ...] = ()

    @property
    def latest(self) -> tuple[Failing, ...]:
        """Those of ``standing`` that came with the last change, nothing if it brought none."""
        last = self.changes[-1].at if self.changes else None
        return tuple(one for one in self.standing if one.since == last)

    def only(self, last: int | None) -> Self:
        """Return the history with its *last* changes only, or with all where that is None."""
        return self if last is None else self._replace(changes=self.changes[-last:])

    def as_json(self) -> dict[str, Any]:
        """Return the document."""
        return {
            "schema": SCHEMA,
            "inventory": self.inventory,
            "verdict": self.verdict,
            "since": self.since,
            "standing": [one.as_json() for one in self.standing],
            "changes": [change.as_json() for change in self.changes],
        }


def place(inventory: Inventory) -> str:
    """Return where the history of *inventory* is kept."""
    return os.path.join(inventory.settings.state, "history.json")


def read(path: str) -> History:
    """Return the history at *path*; an empty one where there is none yet.

    Raises NotJudged where it cannot be read or made sense of.
    """
    try:
        with open_trusted(path, users_of(os.path.dirname(path))) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise NotJudged(f"no history: {path} is no regular file")
            document = json.load(file)
        return _decoded(document)
    except FileNotFoundError:
        return History()
    except OSError as error:
        raise NotJudged(f"the history cannot be read: {path}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise NotJudged(f"not a history of this version: {path}: move it away") from error


def record(inventory: Inventory, gate: Gate) -> str | None:
    """Add *gate* to the history of *inventory*, if it changed anything.

    Returns what is to be said where that could not be done, or None; it never raises for it,
    since a verdict counts with or without a history. A file that is no history is set aside as
    ``history.json.unreadable``.
    """
    path = place(inventory)
    try:
        before = read(path)
        aside = None
    except NotJudged as error:
        before, aside = History(), str(error)
    after = advanced(before, inventory.path, gate)
    if after is before:
        return None
    try:
        make_readable(os.path.dirname(path))
        if aside is not None:
            os.rename(path, f"{path}.unreadable")
        replace_file(path, json.dumps(after.as_json(), separators=(",", ":")).encode() + b"\n")
    except OSError as error:
        return f"the history cannot be written: {path}: {error.strerror or error}"
    return None if aside is None else f"a new history was begun: {aside}"


def advanced(before: History, inventory: str, gate: Gate) -> History:
    """Return the history after *gate*: *before* itself where the gate told nothing new."""
    verdict, at = gate.verdict, round(gate.finished, 3)
    if before.inventory not in (None, inventory):
        before = before._replace(standing=())
    known = {key(one): one for one in before.standing}
    now, appeared, mended = before.standing, _NONE, _NONE
    if verdict.colour is not Colour.UNKNOWN:
        found = [_failing(failure, at) for failure in verdict.failures]
        now = tuple(known.get(key(one), one) for one in found)
        appeared = tuple(one for one in now if key(one) not in known)
        keys = {key(one) for one in found}
        mended = tuple(one for one in before.standing if key(one) not in keys)
    reason = verdict.reason and verdict.reason[:MAX_REASON]
    told = (before.inventory, before.verdict, before.changes[-1].reason if before.changes else None)
    if told == (inventory, verdict.colour.value, reason) and not appeared and not mended:
        return before
    change = Change(
        at=at,
        inventory=inventory,
        verdict=verdict.colour.value,
        reason=reason,
        appeared=appeared[:MAX_LISTED],
        mended=mended[:MAX_LISTED],
        more=len(appeared[MAX_LISTED:]) + len(mended[MAX_LISTED:]),
        failures=len(verdict.failures),
    )
    same = told[:2] == (inventory, verdict.colour.value)
    since = before.since if same else at
    changes = _bounded([*before.changes, change])
    return History(inventory, verdict.colour.value, since, now, changes)


def _bounded(changes: list[Change]) -> tuple[Change, ...]:
    """Leave out the oldest of *changes* until the rest is within bounds; the last one stays."""
    kept = changes[-MAX_CHANGES:]
    while len(kept) > 1 and _size(kept) > MAX_BYTES:
        kept = kept[max(1, len(kept) // 10) :]  # in steps: a full history is not cut each time
    return tuple(kept)


def _size(changes: list[Change]) -> int:
    return len(json.dumps([change.as_json() for change in changes], separators=(",", ":")))


def _failing(failure: Failure, at: float) -> Failing:
    finding = failure.finding
    return Failing(**{name: getattr(finding, name) for name in _FIELDS}, since=at)


def key(one: Failing | Finding) -> tuple[str | None, ...]:
    """Return what tells one failure from another, in the history and in a report."""
    return (one.invariant, one.account, one.link, one.session, one.state)


def _decoded(document: Any) -> History:
    if document["schema"] != SCHEMA:
        raise ValueError("another schema")
    return History(
        inventory=_text(document["inventory"]),
        verdict=_text(document["verdict"]),
        since=None if document["since"] is None else float(document["since"]),
        standing=_decoded_failing(document["standing"]),
        changes=tuple(
            Change(
                at=float(one["at"]),
                inventory=str(one["inventory"]),
                verdict=Colour(one["verdict"]).value,
                reason=_text(one["reason"]),
                appeared=_decoded_failing(one["appeared"]),
                mended=_decoded_failing(one["mended"]),
                more=int(one["more"]),
                failures=int(one["failures"]),
            )
            for one in document["changes"]
        ),
    )


def _decoded_failing(documents: Iterable[Mapping[str, Any]]) -> tuple[Failing, ...]:
    return tuple(
        Failing(
            invariant=str(one["invariant"]),
            account=_text(one["account"]),
            link=_text(one["link"]),
            session=_text(one["session"]),
            state=str(one["state"]),
            since=float(one["since"]),
        )
        for one in documents
    )


def _text(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError("not a text")
    return value
