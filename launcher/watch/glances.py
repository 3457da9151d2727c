"""Looks at the parts of what has changed: a gate is due only if one is not as it was judged.

Claude Code writes its files all day. Of each file a family declares what counts
(:mod:`invariants.inputs`), and each gate says how that was when it judged it. After a change the
part is read again, in a process that can be given up on, and compared.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from time import monotonic

from invariants.checks import FAMILIES
from invariants.declared import counted, declaration
from invariants.inventory import Inventory
from invariants.judges import Judges
from launcher.bounded import Look
from launcher.errors import NotJudged
from launcher.watch.changes import Changes
from launcher.watch.subjects import subjects
from launcher.watch.trace import Trace

PATIENCE = 1.0
"""Seconds that a change of a part may wait which belongs to processes; others are looked at."""

_SHARE = 16  # between two looks there is so much more time than one takes, so that few are made
_PAUSE = 0.15  # and at most so many seconds


class Glances:
    """What has changed since it was judged, as far as is known: touch parts, then take turns.

    All times are of the monotonic clock.
    """

    def __init__(self, changes: Changes, environ: Mapping[str, str]) -> None:
        """Take what sets the watches, and the environment of the gate."""
        self._changes = changes
        self._environ = environ
        self._judged: dict[str, str] = {}  # as the last gate had the parts
        self._is_judging = False
        self._seen: dict[str, tuple[float, str | None]] = {}  # since it began: a change, the part
        self._touched: dict[str, tuple[float, float]] = {}  # when, and when it is looked at
        self._look: Look[tuple[Trace, dict[str, str]]] | None = None
        self._looked_at: dict[str, tuple[float, float]] = {}
        self._begun = 0.0
        self._free = 0.0
        for invariant in FAMILIES:
            declaration(invariant)  # imported here, no look has to

    @property
    def descriptors(self) -> list[int]:
        """What to poll for input. While there is one nothing may be taken from the changes."""
        return [] if self._look is None else [self._look.descriptor]

    @property
    def limit(self) -> float | None:
        """When the next turn is due at the latest, or None."""
        if self._look is not None:
            return self._look.limit
        if not self._touched:
            return None
        return max(self._free, min(due for _, due in self._touched.values()))

    @property
    def oldest(self) -> float | None:
        """When the first change was that may count for all that is known, patience included."""
        waiting = [*self._touched.values(), *self._looked_at.values()]
        return min((due for _, due in waiting), default=None)

    def touch(self, parts: Collection[str], patience: float = 0.0) -> None:
        """Note that *parts* may have changed; they are looked at within *patience* and a bit."""
        now = monotonic()
        for part in parts:
            at, due = self._touched.get(part, (now, now + patience))
            self._touched[part] = at, min(due, now + patience)

    def turn(self, inventory: Inventory, *, may_begin: bool) -> float | None:
        """Go on with looking; return when a part changed that is not as it was judged, or None.

        With *may_begin* a new look at *inventory* may begin.
        """
        found = self._finish()
        now = monotonic()
        if may_begin and self._look is None and now >= self._free:
            due = {part: both for part, both in self._touched.items() if both[1] <= now}
            if due:
                self._begin(inventory, due)
        return found

    def begin(self) -> None:
        """Forget what has changed: it is judged now."""
        self.close()
        self._touched.clear()
        self._seen.clear()
        self._is_judging = True

    def judged(self, parts: Mapping[str, str]) -> float | None:
        """Take the *parts* as the gate had them; return when one changed that is another, or None.

        Without *parts*, as of a gate that did not come to an end, each change counts.
        """
        self._judged = dict(parts)
        self._is_judging = False
        times = [at for part, (at, value) in self._seen.items() if self._is_another(part, value)]
        return min(times, default=None)

    def close(self) -> None:
        """End the look; what it is about is to be looked at still."""
        self._touched = {**self._looked_at, **self._touched}
        self._let_go()

    def _begin(self, inventory: Inventory, due: dict[str, tuple[float, float]]) -> None:
        environ, parts = self._environ, frozenset(due)
        for part in due:
            del self._touched[part]
        self._looked_at = due
        self._begun = monotonic()
        try:
            self._look = self._changes.glance(
                subjects(inventory, environ, parts),
                lambda: counted(inventory, environ, Judges(inventory), parts),
            )
        except NotJudged:
            self.close()  # there is no process to spare: once more
            self._free = self._begun + _PAUSE

    def _finish(self) -> float | None:
        """Take what the look has found, if it has come to an end or its time is over."""
        look = self._look
        if look is None or not (look.has_ended() or monotonic() >= look.limit):
            return None
        try:
            trace, parts = look.result()
            self._changes.add(trace)
        except NotJudged:
            parts = {}
        looked_at = self._looked_at
        self._let_go()
        found = []
        for part, (at, _) in looked_at.items():
            value = parts.get(part)
            self._seen[part] = at, value
            if not self._is_judging or part in self._judged:
                found += [at] if self._is_another(part, value) else []
        return min(found, default=None)

    def _is_another(self, part: str, value: str | None) -> bool:
        return value is None or self._judged.get(part) != value

    def _let_go(self) -> None:
        if self._look is not None:
            self._look.end()
            self._look = None
            now = monotonic()
            self._free = now + min(_PAUSE, _SHARE * (now - self._begun))
        self._looked_at = {}
