"""Whether the report is the last one, by the history of verdicts.

Whoever can write the report's directory can put an older report back, which is the user's own. The
history lies in the state directory, which nobody else can write, and knows of each change.
"""

from __future__ import annotations

from contextlib import suppress

from invariants.inventory import Inventory
from launcher import history
from launcher.errors import NotJudged
from launcher.reading.model import Reading
from launcher.verdict import Colour


def put_back(reading: Reading, inventory: Inventory) -> str | None:
    """Return why *reading* is not the last report of *inventory*, or None.

    A history that cannot be read, or is another inventory's, proves nothing.
    """
    if reading.said in (None, Colour.UNKNOWN) or reading.finished is None:
        return None
    with suppress(NotJudged):
        known = history.read(history.place(inventory))
        if known.inventory != inventory.path or known.verdict == reading.said or not known.changes:
            return None
        if known.changes[-1].at > reading.finished:
            return f"it is older than the last verdict, which was {known.verdict}: it was put back"
    return None
