"""What is known of one version of Claude Code, for a test to compare with what it measures."""

from __future__ import annotations

from dataclasses import dataclass

from tests.claude.facts import COST, ENDINGS, SILENT, TABLES, VERSIONS, Value

_FACTS = {fact: values for table in TABLES.values() for fact, values in table.items()}


class Differs(AssertionError):
    """A version does something else than the table of facts says.

    *fact* is a row of the table, *known* what it says there, *measured* what was seen.
    """

    def __init__(self, fact: str, known: Value, measured: Value) -> None:
        super().__init__(f"{fact}: {known!r} is known, {measured!r} is measured")
        self.fact = fact
        self.known = known
        self.measured = measured


@dataclass(frozen=True, slots=True)
class Known:
    """The facts of *version*: of one that the table lacks, those of the nearest older one.

    ``known["has a memory, in `projects/…/memory`"]`` is a fact; ``known.hold(fact, measured)``
    raises Differs if a test has measured something else.
    """

    version: str

    @property
    def column(self) -> int:
        """The index of the version's values in each row of the table."""
        at_most = _numbers(self.version)
        older = (n for n, known in enumerate(VERSIONS) if _numbers(known) <= at_most)
        return next(older, len(VERSIONS) - 1)

    def __getitem__(self, fact: str) -> Value:
        return _FACTS[fact][self.column]

    def hold(self, fact: str, measured: Value) -> None:
        """Raise Differs unless *measured* is what the table says of *fact*."""
        if measured != self[fact]:
            raise Differs(fact, self[fact], measured)

    def hold_cost(self, link: str, state: str, measured: str) -> None:
        """Raise Differs unless *measured* is what a broken link is known to cost."""
        known = self.cost(link, state)
        if measured != known:
            raise Differs(f"{link} {state}", known, measured)

    def cost(self, link: str, state: str) -> str:
        """Return what docs/broken-links.md says of a broken link, in one cell."""
        ending = ENDINGS[link, state][self.column] if (link, state) in ENDINGS else SILENT
        place, outcome, _ = COST[state]
        where = f"**{place}**" if place == "nowhere" else place
        what = {"session-env": "variable", "file-history": "undo", "projects": "conversation"}
        kept = f"**{outcome}**" if outcome == "lost" else outcome
        return f"{ending}; state {where}; {what[link]} {kept}"


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]
