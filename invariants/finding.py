"""One invariant that does not hold, in the words that a report and a person need."""

import os
import shlex
from typing import NamedTuple


def shown(text: str) -> str:
    r"""Return *text* as it can be printed on one line: as it is, or escaped where it cannot.

    >>> shown("/srv/claude"), shown("two\nlines")
    ('/srv/claude', "'two\\nlines'")
    """
    return text if text.isprintable() else ascii(text)


def quoted(*words: str) -> str:
    r"""Return *words* as a command line that a shell takes as it was meant, on one line.

    A word that cannot be printed, say a file's name with a line end in it, is written by printf(1),
    in octal. Only one that ends in a line end stays as it is: ``$(…)`` would drop that.

    >>> quoted("chmod", "go-w", "/home/a b")
    "chmod go-w '/home/a b'"
    >>> print(quoted("ls", "a\nb"))
    ls "$(printf 'a\012b')"
    """
    return " ".join(map(_word, words))


def _word(word: str) -> str:
    if word.isprintable() or word.endswith("\n"):
        return shlex.quote(word)
    return f"\"$(printf '{''.join(map(_octal, os.fsencode(word)))}')\""


def _octal(byte: int) -> str:
    one = chr(byte)
    return one if one.isascii() and (one.isalnum() or one in "/._ -") else f"\\{byte:03o}"


_WHAT = {"link_is_shared": "symlink to ", "session_directory_exists": "the directory "}


class Finding(NamedTuple):
    """What does not hold, where, what should be there, what is there, and how to mend it.

    ``state`` is a name that a program can compare (for a link, its :class:`LinkState`);
    ``expected`` is a path where that says it all (a link's target, a session's directory), else
    words; ``found`` is words; ``fix`` is a line that can be pasted (see :mod:`invariants.fixes`).
    The fields are those of a report's failure.
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
        from invariants.naming import place_of  # which needs what the families look at

        return place_of(self.invariant, self.state, self.account, self.link, self.session)

    @property
    def title(self) -> str:
        """Where and what, in a few words, and always with the account."""
        from invariants.naming import title_of

        return title_of(self.invariant, self.state, self.account, self.link, self.session)

    @property
    def wanted(self) -> str:
        """What is expected, as a person is told: with what should be at the path, on one line."""
        what = _WHAT.get(self.invariant, "") if self.expected.startswith("/") else ""
        return f"{what}{shown(self.expected)}"

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
            f"  expected  {self.wanted}\n"
            f"  found     {shown(self.found)}\n"
            f"  fix       {self.fix}"
        )
