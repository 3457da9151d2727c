"""Markdown as GitHub, GitLab and most chats read it: for a ticket, or a message to people.

What comes from file names stands in code, where nothing means anything; the rest is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from invariants.warning import Warned
from launcher.formats import Shown
from launcher.formats.words import plain
from launcher.reading import UNKNOWN, Reading, matrix_of
from launcher.verdict import Colour, Failure

_MARKS = {Colour.GREEN: "✅", Colour.RED: "❌", Colour.UNKNOWN: "❔"}
_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&@$]|:(?=//)|(?<=www)\.)")


def show(reading: Reading) -> Shown:
    """Return the verdict, the matrix, failures and warnings with their fixes, and the sessions."""
    verdict = reading.verdict
    host = f" on {_code(reading.host)}" if reading.host else ""
    blocks = [f"{_MARKS[verdict]} **{verdict.value}**{host}: {_text(reading.summary)}"]
    if reading.problem is None:
        blocks += _known(reading)
    return Shown("\n\n".join(blocks) + "\n", reading.code)


def _known(reading: Reading) -> list[str]:
    blocks = [_matrix(reading)] if reading.inventory is not None else []
    blocks += [_failure(failure) for failure in reading.failures]
    blocks += map(_warning, reading.warnings)
    if reading.sessions:
        rows = [
            [_text(one.name), _text(one.account), one.state.value, _cell(one.detail)]
            for one in reading.sessions
        ]
        blocks.append(_table(["session", "account", "state", ""], rows))
    return blocks


def _matrix(reading: Reading) -> str:
    matrix = matrix_of(reading)
    rows = [
        [_text(account), _state(matrix.homes[account]), *map(_state, row.values())]
        for account, row in matrix.entries.items()
    ]
    rows.append(["*target*", "", *map(_state, matrix.targets.values())])
    return _table(["", "home", *map(_text, matrix.targets)], rows)


def _state(state: str | None) -> str:
    if state is None:
        return "✅"
    return f"❔ {state}" if state == UNKNOWN else f"❌ {_text(state)}"


def _failure(failure: Failure) -> str:
    finding = failure.finding
    lines = [
        f"**{_text(finding.place)}**{_text(finding.title.removeprefix(finding.place))}",
        "",
        f"- expected {_code(finding.wanted)}",
        f"- found {_code(finding.found)}",
        "",
        _fenced(plain(finding.fix)),
    ]
    return "\n".join(lines)


def _warning(warned: Warned) -> str:
    told = f"⚠️ **{_text(warned.place)}**: {_code(warned.found)}"
    return f"{told}\n\n{_fenced(plain(warned.fix))}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", plain(text))


def _cell(text: str | None) -> str:
    # Inside a table a pipe ends even code, unless it is escaped.
    return _code(text).replace("|", "\\|") if text else ""


def _code(text: str) -> str:
    """Return *text* as code: within more backticks than it holds in a row (CommonMark, 6.1)."""
    line = plain(text)
    fence = "`" * (_longest_run(line) + 1)
    room = " " if line.startswith(("`", " ")) or line.endswith(("`", " ")) else ""
    return f"{fence}{room}{line}{room}{fence}"


def _fenced(line: str) -> str:
    fence = "`" * max(3, _longest_run(line) + 1)
    return f"{fence}sh\n{line}\n{fence}"


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
