"""The operator's own invariants as they are read from their files, before anything of them runs."""

from typing import NamedTuple

from invariants.own.contents import digest_of

SUBJECTS = ("account", "link", "session")
"""The arguments of a test that are parameters, in the order of a case's values."""


class OwnTest(NamedTuple):
    """One test: its invariant's name, its arguments, what must hold, and the fix."""

    invariant: str
    arguments: tuple[str, ...]
    holds: str
    fix: str


class OwnFile(NamedTuple):
    """One file: its path as the inventory names it, its whole source, and its tests."""

    path: str
    source: bytes
    tests: tuple[OwnTest, ...]

    @property
    def digest(self) -> str:
        """The digest of its source."""
        return digest_of(self.source)


class Unjudged(NamedTuple):
    """A directory or file of the operator's that cannot be judged, and why."""

    path: str
    reason: str


class Own(NamedTuple):
    """All that the inventory's directories hold."""

    files: tuple[OwnFile, ...]
    unjudged: tuple[Unjudged, ...]
