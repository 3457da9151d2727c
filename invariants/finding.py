"""One invariant that does not hold, in the words that a report and a person need."""

from __future__ import annotations

import shlex
from dataclasses import dataclass


def shown(text: str) -> str:
    r"""Return *text* as it can be printed on one line: as it is, or escaped where it cannot.

    >>> shown("/srv/claude"), shown("two\nlines")
    ('/srv/claude', "'two\\nlines'")
    """
    return text if text.isprintable() else ascii(text)


def quoted(*words: str) -> str:
    """Return *words* as a command line that a shell takes as it was meant.

    >>> quoted("chmod", "go-w", "/home/a b")
    "chmod go-w '/home/a b'"
    """
    return shlex.join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What does not hold, where, what should be there, what is there, and how to mend it.

    ``state`` is a name that a program can compare (for a link, its :class:`LinkState`);
    ``expected`` and ``found`` are words; ``fix`` is a command line that can be pasted, or a
    sentence where no command could be right. The fields are those of a report's failure.
    """

    invariant: str
    state: str
    expected: str
    found: str
    fix: str
    account: str | None = None
    link: str | None = None
    session: str | None = None

    @property
    def place(self) -> str:
        """Where it is, as a person names it: ``backup projects``, ``session api``."""
        if self.session is not None:
            return f"session {self.session}"
        if self.account is not None and self.link is not None:
            return f"{self.account} {self.link}"
        if self.account is not None:
            return f"home of {self.account}"
        if self.link is not None:
            return f"target of {self.link}"
        return "launcher"

    def as_json(self) -> dict[str, str | None]:
        """Return the fields as a report names them, in the order in which a person asks."""
        return {
            "invariant": self.invariant,
            "account": self.account,
            "link": self.link,
            "session": self.session,
            "state": self.state,
            "expected": self.expected,
            "found": self.found,
            "fix": self.fix,
        }

    def __str__(self) -> str:
        """Say what, where, expected, found and the fix, a line each."""
        return (
            f"{self.place}: {self.state}\n"
            f"  expected  {shown(self.expected)}\n"
            f"  found     {shown(self.found)}\n"
            f"  fix       {self.fix}"
        )
