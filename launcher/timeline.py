"""The history as text: the changes one below the other, and since when a verdict stands."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from invariants.finding import shown
from launcher.colours import BOLD, VERDICTS
from launcher.history import Change, Failing, History
from launcher.verdict import Colour

if TYPE_CHECKING:
    from launcher.render import Painter

_LISTED = 10


def history_text(history: History, paint: Painter) -> str:
    """Return ``history`` as text: each change with what came (+) and went (-) with it."""
    if not history.changes:
        return "no history yet: launcher check begins one\n"
    return "".join(f"{line}\n" for change in history.changes for line in _lines(change, paint))


def _lines(change: Change, paint: Painter) -> Iterable[str]:
    colour = paint(f"{change.verdict:<7}", BOLD + VERDICTS[Colour(change.verdict)])
    told = shown(change.reason) if change.reason else _counted(change.failures)
    yield f"{moment(change.at)}  {colour}  {told}".rstrip()
    for sign, some in (("+", change.appeared), ("-", change.mended)):
        for one in some:
            yield f"    {sign} {one.title}"
    if change.more:
        yield f"    and {change.more} more"


def _counted(failures: int) -> str:
    if not failures:
        return ""
    return "1 invariant does not hold" if failures == 1 else f"{failures} invariants do not hold"


def standing_lines(history: History, now: float) -> list[str]:
    """Return since when it is not green, and below it each failure, the newest first.

    Nothing where it is. *now* are epoch seconds; its day is today. A failure that came with the
    last change is marked so, and any other of today's too.
    """
    if history.verdict in (None, Colour.GREEN) or history.since is None:
        return []
    lines = [f"{history.verdict} since {moment(history.since)}"]
    if history.verdict != Colour.RED:
        return lines
    newest = sorted(history.standing, key=lambda one: -one.since)
    for one in newest[:_LISTED]:
        mark = "new" if one in history.latest else "today" if is_today(one.since, now) else ""
        lines.append(f"  {mark:<5} {one.title}, since {moment(one.since)}")
    if len(newest) > _LISTED:
        lines.append(f"  and {len(newest) - _LISTED} more: launcher history")
    return lines


def is_today(at: float, now: float) -> bool:
    """Tell whether *at* is of the same local day as *now*, both in epoch seconds."""
    return time.localtime(at)[:3] == time.localtime(now)[:3]


def marked(one: Failing, history: History, now: float) -> dict[str, object]:
    """Return a standing failure for a program, told whether it is new, and of today."""
    return {**one.as_json(), "new": one in history.latest, "today": is_today(one.since, now)}


def moment(at: float) -> str:
    """Return epoch seconds as the local date and time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
