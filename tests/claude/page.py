"""The page docs/broken-links.md: prose by hand, and tables whose cells are measured."""

from __future__ import annotations

import fcntl
from collections.abc import Sequence
from pathlib import Path

HEADER = "the entry"


class Page:
    """Tables with one link each below a heading: states down, versions and the gate across."""

    def __init__(self, path: Path, rewrite: bool) -> None:
        self.path = path
        self.rewrite = rewrite

    def compare(self, link: str, state: str, column: int, measured: str) -> None:
        """Fail where a cell says something else than *measured*, or write it there."""
        if self.rewrite:
            self._write(link, state, column, measured)
            return
        lines = self.path.read_text().splitlines()
        written = _cells(lines[_row(lines, link, state)])[column]
        where = f"{self.path.name}, {link} {state}"
        assert written == measured, f"{where}: {measured!r} is measured, {written!r} is written"

    def name_column(self, links: Sequence[str], column: int, title: str) -> None:
        """Say which version a column is about, where the page is written anew."""
        for link in links if self.rewrite else ():
            self._write(link, HEADER, column, title)

    def _write(self, link: str, state: str, column: int, text: str) -> None:
        with self.path.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            lines = file.read().splitlines()
            row = _row(lines, link, state)
            cells = _cells(lines[row])
            cells[column] = text
            lines[row] = f"| {' | '.join(cells)} |"
            file.seek(0)
            file.write("\n".join([*lines, ""]))
            file.truncate()


def _row(lines: Sequence[str], link: str, state: str) -> int:
    """Return the index of a row of the table for *link*."""
    start = lines.index(f"## `{link}`")
    return next(n for n in range(start, len(lines)) if _cells(lines[n])[:1] == [state])


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
