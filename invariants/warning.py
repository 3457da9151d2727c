"""A fact that an operator should know and that changes no verdict: a warning."""

from collections.abc import Sized
from typing import NamedTuple

from invariants.finding import shown


class Warned(NamedTuple):
    """What was found, where, and what to do about it. It stops no start.

    ``invariant`` is what should hold: a family's name if a check warns, else a name that
    ``launcher explain`` knows. ``found`` is words; ``fix`` is a line that can be pasted (see
    :mod:`invariants.fixes`). The fields are those of a report's warning.
    """

    invariant: str
    found: str
    fix: str
    account: str | None = None
    link: str | None = None
    session: str | None = None

    @property
    def place(self) -> str:
        """Where it is, as a person names it; the invariant if it is about the whole VM.

        >>> Warned("session_is_in_inventory", "…", "launcher down old", session="old").place
        'session old'
        """
        from invariants.naming import place_of

        return place_of(self.invariant, "warned", self.account, self.link, self.session)

    def as_json(self) -> dict[str, str | None]:
        """Return the fields as a report names them, in the order of a failure's."""
        return {
            "invariant": self.invariant,
            "account": self.account,
            "link": self.link,
            "session": self.session,
            "found": self.found,
            "fix": self.fix,
        }

    def __str__(self) -> str:
        """Say where, what and the fix on one line, whatever the texts hold."""
        return f"{shown(self.place)}: {shown(self.found)}; fix: {shown(self.fix)}"


def counted(warnings: Sized) -> str:
    """Return how many *warnings* there are.

    >>> counted(["a"]), counted([])
    ('1 warning', '0 warnings')
    """
    return f"{len(warnings)} warning{'' if len(warnings) == 1 else 's'}"


def in_order(*warnings: Warned) -> tuple[Warned, ...]:
    """Return each of *warnings* once, ordered by invariant and place.

    So two gates that found the same facts warn of them in the same words and order.
    """
    return tuple(sorted(set(warnings), key=_order))


def _order(one: Warned) -> tuple[str, ...]:
    return (one.invariant, *(name or "" for name in one[3:]), one.found, one.fix)
