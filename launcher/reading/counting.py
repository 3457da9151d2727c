"""Whether a report counts now: by itself, by its age, and by what the machine has become since."""

from __future__ import annotations

import os
from collections import Counter

from invariants.finding import shown
from invariants.inventory import Inventory
from launcher.demands import digest_now
from launcher.keeping import unkept
from launcher.processes import boot_id, first_process_start
from launcher.reading.matrix import called_for
from launcher.reading.model import Origin, Reading
from launcher.reading.values import table
from launcher.sessions import SessionState
from launcher.verdict import Colour

CLOCKS_APART = 60.0
"""How many seconds the clock of another machine may be ahead of this one's."""

_NOT_PASSED = ("failed", "error", "skipped", "xfailed", "xpassed")
_AGAIN = "run launcher check"


def problem(reading: Reading, inventory: Inventory, kept_at: float) -> str | None:
    """Say why the report cannot be about the machine as it is now, or return None.

    *kept_at* is the modification time of its file, which the watch that keeps it true renews.
    May hang where a file system does: that of the report, or of own invariants.
    """
    if reading.origin is None:
        return None
    return (
        _of_another(reading, reading.origin, inventory)
        or _unkept(reading, reading.origin, kept_at)
        or _too_old(reading)
        or _uncalled(reading, inventory)
        or contradiction(reading)
        or _edited(reading, reading.origin, inventory)
    )


def problem_elsewhere(reading: Reading) -> str | None:
    """Say why the report cannot be about that machine as it is now, or return None."""
    age = reading.age or 0.0
    if age < -CLOCKS_APART:
        return f"it is from the future, by {-age:.0f} s: one of the two clocks is wrong"
    return _too_old(reading) or contradiction(reading)


def contradiction(reading: Reading) -> str | None:
    """Say why a verdict cannot be, by what the report itself says, or return None."""
    if reading.said is Colour.UNKNOWN:
        return None
    said = f"it says {reading.said}, but that"
    if (reading.finished or 0.0) < (reading.started or 0.0):
        return f"{said} its gate ended before it began"
    if reading.reason is not None:
        return f"{said} it is unknown: {shown(reading.reason)}"
    numbers = f"{reading.passed} of {reading.expected} checks passed"
    if reading.said is Colour.RED:
        if not reading.failures:
            return "it says red, but of nothing that does not hold"
        return f"{said} {numbers}" if reading.passed >= reading.expected else None
    if reading.failures or not reading.expected or reading.passed != reading.expected:
        return f"{said} {numbers}"
    return _not_green(reading)


def _not_green(reading: Reading) -> str | None:
    """Say why a green cannot be, by what the report says of its checks and sessions."""
    document = reading.document or {}
    passed = sum(outcome.passed for outcome in reading.outcomes.values())
    if not len(document.get("tests", ())) == len(reading.outcomes) == passed == reading.expected:
        told = f"of {len(reading.outcomes)} checks, {passed} of them passed"
        return f"it says green, but tells {told}, where {reading.expected} are called for"
    code = document.get("exitcode")
    if type(code) is not int or code != 0:  # False is 0, too
        return f"it says green, but that pytest ended with {code!r}"
    summary = table(document.get("summary", {}))
    if bad := [name for name in _NOT_PASSED if summary.get(name, 0) != 0]:
        return f"it says green, but that some checks are counted as {', '.join(bad)}"
    if held := [one.name for one in reading.sessions if one.state is SessionState.HELD]:
        return f"it says green, but that a session was held: {shown(held[0])}"
    names = Counter(one.name for one in reading.sessions)
    if twice := [name for name, times in names.items() if times > 1]:
        return f"it says green, but lists a session twice: {shown(twice[0])}"
    return None


def _of_another(reading: Reading, origin: Origin, inventory: Inventory) -> str | None:
    """Say why a report is of another inventory, another boot or another time than now."""
    if origin.inventory != inventory.path:
        return f"it is about another inventory: {shown(origin.inventory)}"
    now = boot_id()
    if now is None or origin.boot_id is None:
        where = "here" if now is None else "where it was written"
        return f"it is not known whether the machine has booted since: {where} /proc cannot be read"
    if origin.boot_id != now:
        return "it is from before the last reboot"
    start = first_process_start()
    if origin.uptime is not None and start is not None and origin.uptime < start:
        return "it is from before this container was started"
    if (reading.age or 0.0) < -1:
        return "it is from the future: the clock was set back"
    if _is_read_only(os.path.dirname(os.path.realpath(reading.path))):
        return "it is on a read-only file system: nothing can replace it any more"
    return None


def _unkept(reading: Reading, origin: Origin, kept_at: float) -> str | None:
    """Say why nobody keeps a report true that a watch is said to keep true."""
    if reading.said is Colour.UNKNOWN or origin.keeper is None:
        return None
    return unkept(origin.keeper, kept_at)


def _too_old(reading: Reading) -> str | None:
    if (reading.age or 0.0) <= reading.max_age:
        return None
    return f"it is {reading.age:.0f} s old, {reading.max_age:g} s at most were asked for"


def _uncalled(reading: Reading, inventory: Inventory) -> str | None:
    """Say which check or session a green lacks that the inventory calls for now."""
    if reading.said is not Colour.GREEN or reading.failures:
        return None
    for check in called_for(inventory):
        outcome = reading.outcomes.get(check.nodeid)
        if outcome is None or not outcome.passed:
            name = check.nodeid.rpartition("::")[2]
            return f"it does not tell of {name}, which the inventory calls for by now"
    for session in inventory.sessions:
        if session.name not in {one.name for one in reading.sessions}:
            return f"it does not tell of session {session.name}, which the inventory has by now"
    return None


def _edited(reading: Reading, origin: Origin, inventory: Inventory) -> str | None:
    """Say why a verdict is not about what the inventory demands now.

    A red one does not count either: what did not hold then may no longer be demanded.
    """
    if reading.said is Colour.UNKNOWN:
        return None
    if origin.demands is None:
        return f"it is of a version that does not say what the inventory demanded: {_AGAIN}"
    if origin.demands != digest_now(inventory):
        return f"the inventory or an own invariant has been edited since: {_AGAIN}"
    return None


def _is_read_only(directory: str) -> bool:
    try:
        return bool(os.statvfs(directory).f_flag & os.ST_RDONLY)
    except OSError:
        return False  # then the report's age is all that tells
