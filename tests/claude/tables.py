"""Writes the tables of docs/claude-code.md and docs/broken-links.md from the table of facts.

python -m tests.claude.tables
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.claude.facts import COST, TABLES, VERSIONS, Value
from tests.claude.known import Known
from tests.vm import CHECKOUT, LINKS

PAGES = (CHECKOUT / "docs" / "claude-code.md", CHECKOUT / "docs" / "broken-links.md")
_BLOCK = re.compile(r"(<!-- made by `make claude-docs`: (\S+) -->\n)(.*?)(<!-- end -->\n)", re.S)
_WORDS: Mapping[Value, str] = {
    True: "yes",
    False: "no",
    "survives": "**survives**",
    "asks": "**asks**",
    -1: "death by the signal",
}


def written(page: Path) -> str:
    """Return the text of *page* with its tables as the facts have them."""
    return _BLOCK.sub(lambda found: found[1] + _table(found[2]) + found[4], page.read_text())


def names(page: Path) -> list[str]:
    """Return the names of the tables of *page*, in its order."""
    return [found[2] for found in _BLOCK.finditer(page.read_text())]


def _table(name: str) -> str:
    if name in LINKS:
        known = [Known(version) for version in VERSIONS]
        rows = [
            [state, *(one.cost(name, state) for one in known), f"refused: {gate}"]
            for state, (_, _, gate) in COST.items()
        ]
        return _lines(["the entry", *VERSIONS, "with the gate"], rows)
    facts = TABLES[name].items()
    return _lines(["", *VERSIONS], [[fact, *map(_word, values)] for fact, values in facts])


def _word(value: Value) -> str:
    return _WORDS.get(value, str(value))


def _lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = "|---" * len(head) + "|"
    return "".join(f"{line}\n" for line in (_row(head), rule, *map(_row, rows)))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def main() -> int:
    """Write the tables of both pages."""
    for page in PAGES:
        page.write_text(written(page))
    return 0


if __name__ == "__main__":
    sys.exit(main())
