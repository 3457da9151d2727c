"""The history of verdicts, as the page draws it: a strip of the last days, and a table."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from invariants.inventory import Inventory
from launcher.errors import NotJudged
from launcher.formats.words import plain
from launcher.history import Change, Failing, History, key, place, read
from launcher.timeline import is_today
from launcher.verdict import Colour

SPAN = 7 * 86400.0
"""How far the strip goes back, in seconds, where the history does."""
LISTED = 50
_NAMED = 5

WIDTH = 1000


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time with one verdict: where it begins and how wide it is, in parts of ``WIDTH``."""

    verdict: str
    begin: float
    width: float


@dataclass(frozen=True, slots=True)
class Strip:
    """The stretches from ``begin`` (epoch seconds) to now, and how long each verdict stood."""

    begin: float
    stretches: tuple[Stretch, ...]
    words: str


@dataclass(frozen=True, slots=True)
class Row:
    """A change for the table: when, which verdict, why or how many, what came and what went."""

    at: float
    verdict: str
    told: str
    appeared: str
    mended: str


def history_of(inventory: Inventory) -> History:
    """Return the history of *inventory*; an empty one where it cannot be read, or is another's."""
    try:
        history = read(place(inventory))
    except NotJudged:
        return History()
    return history if history.inventory == inventory.path else History()


def strip(history: History, now: float) -> Strip | None:
    """Return the strip up to *now*, or None where there is no history."""
    if not history.changes:
        return None
    begin = max(history.changes[0].at, now - SPAN)
    if begin >= now:
        return None
    ends = [*(change.at for change in history.changes), now]
    totals = dict.fromkeys([colour.value for colour in Colour], 0.0)
    stretches: list[Stretch] = []
    for change, (start, end) in zip(history.changes, pairwise(ends), strict=True):
        start, end = max(start, begin), min(max(end, begin), now)
        if end <= start:
            continue
        totals[change.verdict] += end - start
        first, width = _part(start - begin, now - begin), _part(end - start, now - begin)
        stretches.append(Stretch(change.verdict, first, width))
    words = ", ".join(f"{name} {_share(total / (now - begin))}" for name, total in totals.items())
    return Strip(begin, tuple(stretches), words)


def _part(seconds: float, whole: float) -> float:
    return round(WIDTH * seconds / whole, 2)


def _share(share: float) -> str:
    """Return a share in percent; what is not all of it is never told as all, nor as nothing."""
    if share in (0.0, 1.0):
        return f"{share:.0%}"
    return f"{min(max(100 * share, 0.1), 99.9):.1f}%"


def rows(history: History) -> list[Row]:
    """Return the last changes, the newest first."""
    return [_row(change) for change in reversed(history.changes[-LISTED:])]


def _row(change: Change) -> Row:
    count = change.failures
    failing = f"{count} {'failure' if count == 1 else 'failures'}" if count else ""
    told = plain(change.reason) if change.reason else failing
    return Row(change.at, change.verdict, told, _places(change.appeared), _places(change.mended))


def _places(some: tuple[Failing, ...]) -> str:
    named = [plain(one.title) for one in some[:_NAMED]]
    more = [f"{len(some) - _NAMED} more"] if len(some) > _NAMED else []
    return ", ".join([*named, *more])


def marks(history: History, now: float) -> dict[tuple[str | None, ...], tuple[str, float]]:
    """Return for each standing failure, by its key, whether it is new, and since when."""
    latest = set(history.latest)
    return {
        key(one): (
            "new" if one in latest else "today" if is_today(one.since, now) else "",
            one.since,
        )
        for one in history.standing
    }
