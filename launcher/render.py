"""Verdicts, plans and overviews as text: for a terminal 80 columns wide, or none at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from invariants.finding import Finding
from invariants.inventory import Inventory
from launcher.gate import Gate
from launcher.provision import Action
from launcher.sessions import SessionState, SessionStatus
from launcher.status import LastReport, Overview
from launcher.verdict import Colour

_RESET = "\x1b[0m"
_BOLD, _RED, _GREEN, _YELLOW = "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[33m"
_COLOURS = {Colour.GREEN: _GREEN, Colour.RED: _RED, Colour.UNKNOWN: _YELLOW}


class Painter:
    """Puts text in colour, or leaves it as it is."""

    def __init__(self, coloured: bool) -> None:
        self._coloured = coloured

    def __call__(self, text: str, colour: str) -> str:
        """Return *text* in *colour*."""
        return f"{colour}{text}{_RESET}" if self._coloured else text


def wants_colour(is_terminal: bool, environ: Mapping[str, str]) -> bool:
    """Tell whether to colour: on a terminal that can, unless ``NO_COLOR`` is set (no-color.org)."""
    return is_terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def verdict_text(
    gate: Gate, sessions: Sequence[SessionStatus], inventory: Inventory, paint: Painter
) -> str:
    """Return a gate as text: every failure grouped by account, the sessions, the summary last."""
    verdict = gate.verdict
    blocks = findings_blocks((f.finding for f in verdict.failures), inventory, paint)
    if sessions:
        blocks.append(sessions_block(sessions, paint))
    seconds = f"{gate.finished - gate.started:.2f} s"
    colour = paint(verdict.colour.value, _BOLD + _COLOURS[verdict.colour])
    if verdict.colour is Colour.GREEN:
        summary = f"{colour}: all {verdict.expected} invariants hold ({seconds})"
    elif verdict.colour is Colour.RED:
        count = len(verdict.failures)
        what = "invariants does not hold" if count == 1 else "invariants do not hold"
        summary = f"{colour}: {count} of {verdict.expected} {what}{_held(sessions)} ({seconds})"
    else:
        summary = f"{colour}: the gate could not be judged{_held(sessions)} ({seconds})"
        summary += f"\n  {verdict.reason}"
    return "\n\n".join([*blocks, summary]) + "\n"


def _held(sessions: Sequence[SessionStatus]) -> str:
    if not any(session.state is SessionState.HELD for session in sessions):
        return ""
    tried = (SessionState.STARTED, SessionState.FAILED)
    count = sum(session.state in tried for session in sessions)
    return f"; {count} were started before, the rest is held" if count else "; nothing was started"


def findings_blocks(findings: Iterable[Finding], inventory: Inventory, paint: Painter) -> list[str]:
    """Return a block of text for each account that has findings, then one for what has none."""
    homes = {account.name: account.home for account in inventory.accounts}
    groups: dict[str | None, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.account, []).append(finding)
    blocks = []
    for name in (*homes, None):
        if name in groups:
            title = paint(f"{name} ({homes[name]})" if name else "shared", _BOLD)
            blocks.append("\n".join([title, *(_indented(found, paint) for found in groups[name])]))
    return blocks


def _indented(finding: Finding, paint: Painter) -> str:
    first, *rest = str(finding).splitlines()
    return "\n".join([f"  {paint(first, _RED)}", *(f"  {line}" for line in rest)])


def sessions_block(sessions: Sequence[SessionStatus], paint: Painter) -> str:
    """Return a line for each session, and below one that failed what it printed last."""
    names = max(len(session.name) for session in sessions)
    accounts = max(len(session.account) for session in sessions)
    lines = [paint("sessions", _BOLD)]
    for session in sessions:
        state = f"{session.state.value:<7}"
        if session.state is SessionState.FAILED:
            state = paint(state, _RED)
        detail = f"  {session.detail}" if session.detail else ""
        line = f"  {session.name:<{names}}  {session.account:<{accounts}}  {state}{detail}"
        lines.append(line.rstrip())
        lines += [f"    | {line}" for line in (session.words or "").splitlines()]
    return "\n".join(lines)


def ensure_text(
    actions: Sequence[Action],
    refused: Sequence[Finding],
    inventory: Inventory,
    dry_run: bool,
    paint: Painter,
) -> str:
    """Return what ``ensure`` did or would do, or all that it refused."""
    verb = "would create" if dry_run else "created"
    lines = "".join(f"{verb} {action}\n" for action in actions)
    if refused:
        blocks = findings_blocks(refused, inventory, paint)
        what = "nothing was created" if not actions else "the rest was not created"
        blocks.append(f"{paint('refused', _BOLD + _RED)}: {len(refused)} in the way; {what}")
        return lines + "\n\n".join(blocks) + "\n"
    return lines or "nothing to do: every target and link is there\n"


def overview_text(view: Overview, paint: Painter) -> str:
    """Return ``status`` as text: accounts × links, the sessions, the last report."""
    blocks = []
    if view.problem:
        blocks.append(paint(f"homes and targets: {view.problem}", _YELLOW))
    else:
        blocks.append(_matrix(view, paint))
    if view.sessions:
        blocks.append(sessions_block(view.sessions, paint))
    if view.foreign:
        blocks.append(f"running, but not in the inventory: {', '.join(view.foreign)}")
    blocks.append(_last_report(view.report, paint))
    return "\n\n".join(blocks) + "\n"


def _matrix(view: Overview, paint: Painter) -> str:
    links = list(view.targets)
    rows = [["", "home", *links]]
    for account, states in view.entries.items():
        rows.append([account, view.homes[account] or "ok", *(states[link] for link in links)])
    rows.append(["target", "", *(view.targets[link] or "ok" for link in links)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)]
        for column, cell in enumerate(row):
            if number and column and cell not in ("", "ok", "shared"):
                cells[column] = paint(cells[column], _RED)
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _last_report(report: LastReport, paint: Painter) -> str:
    if report.verdict is None:
        return f"last report: {paint('none', _YELLOW)}: {report.problem}"
    colour = paint(report.verdict, _COLOURS.get(Colour(report.verdict), ""))
    age = f"{_age(report.age)} ago" if report.age is not None else "of unknown age"
    problem = f"\n  {paint(report.problem, _YELLOW)}" if report.problem else ""
    return f"last report: {colour}, {age} ({report.path}){problem}"


def _age(seconds: float | None) -> str:
    if seconds is None or seconds < 0:
        return "less than 0 s"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
