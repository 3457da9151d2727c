"""Verdicts, plans and overviews as text: for a terminal 80 columns wide, or none at all."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from invariants.finding import Finding, shown
from invariants.inventory import Inventory
from invariants.warning import Warned
from launcher.colours import BOLD as _BOLD
from launcher.colours import RED as _RED
from launcher.colours import RESET as _RESET
from launcher.colours import VERDICTS as _COLOURS
from launcher.colours import YELLOW as _YELLOW
from launcher.journal import Entry, Priority
from launcher.sessions import SessionState, SessionStatus
from launcher.verdict import Colour, Gate

if TYPE_CHECKING:
    from launcher.install import Change
    from launcher.provision import Action
    from launcher.status import LastReport, Overview
    from launcher.switch import Switch


_SHARED, _MACHINE = "shared", "machine"


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
    warnings = warning_lines(gate.warnings, paint)
    summary = "\n".join([summary, *warnings, *off_lines(inventory, paint)])
    return "\n\n".join([*blocks, summary]) + "\n"


def warning_lines(warnings: Iterable[Warned], paint: Painter) -> list[str]:
    """Return a line for each warning, to be shown below a verdict."""
    return [f"  {paint('warning', _YELLOW)}: {warned}" for warned in warnings]


def off_lines(inventory: Inventory, paint: Painter) -> list[str]:
    """Return a line for each family that is switched off: what is not looked at, and why."""
    off = inventory.demands.off
    return [f"  {paint('switched off', _YELLOW)}: {name}: {off[name]}" for name in sorted(off)]


def verdict_entries(gate: Gate, sessions: Sequence[SessionStatus]) -> list[Entry]:
    """Return a gate for the journal: an error for whatever keeps it from green, on one line each.

    The verdict comes after that, and the warnings, which did not keep it from anything, at the end.

    What a failed session printed is not in it: the journal is read by more than its user.
    """
    verdict = gate.verdict
    entries = [Entry(Priority.ERROR, _on_one_line(one.finding)) for one in verdict.failures]
    for session in sessions:
        failed = session.state is SessionState.FAILED
        detail = f": {session.detail}" if session.detail else ""
        text = f"session {session.name} of {session.account}: {session.state.value}{detail}"
        entries.append(Entry(Priority.ERROR if failed else Priority.INFO, text))
    if verdict.colour is Colour.UNKNOWN:
        entries.append(Entry(Priority.ERROR, f"unknown: {verdict.reason}"))
    elif verdict.colour is Colour.RED:
        text = f"red: {len(verdict.failures)} of {verdict.expected} invariants do not hold"
        entries.append(Entry(Priority.WARNING, text + _held(sessions)))
    else:
        entries.append(Entry(Priority.NOTICE, f"green: all {verdict.expected} invariants hold"))
    entries += [Entry(Priority.WARNING, f"warning: {warned}") for warned in gate.warnings]
    return entries


def _on_one_line(finding: Finding) -> str:
    found = f"expected {finding.wanted}; found {shown(finding.found)}"
    return f"{finding.title}: {found}; fix: {finding.fix}"


def install_text(
    changes: Sequence[Change],
    refused: Sequence[Finding],
    unfit: Sequence[Finding],
    dry_run: bool,
    paint: Painter,
) -> str:
    """Return what ``install`` did or would do, or all that is in its way.

    *unfit* is what the units would be red of at a boot.
    """
    if refused:
        blocks = [_indented(finding, paint) for finding in refused]
        blocks.append(f"{paint('refused', _BOLD + _RED)}: {len(refused)} in the way; nothing done")
        return "\n\n".join(blocks) + "\n"
    would = "would " if dry_run else ""
    done = "".join(f"{would}{change}\n" for change in changes) or "nothing to do\n"
    if not unfit:
        return done
    blocks = [_indented(finding, paint) for finding in unfit]
    red = f"{paint('red', _BOLD + _RED)} at the next boot: {len(unfit)} by the PATH of the units"
    return f"{done}\n" + "\n\n".join([*blocks, red]) + "\n"


def switch_text(done: Switch, inventory: Inventory, paint: Painter) -> str:
    """Return what became of a switch, or all that is in its way, with the gate and the sessions."""
    blocks = findings_blocks(done.findings, inventory, paint)
    said = "".join(f"\n    | {line}" for line in (done.words or "").splitlines())
    blocks.append(f"{_switch_line(done, paint)}{said}\n")
    return "\n\n".join(blocks) + "\n" + verdict_text(done.gate, done.sessions, inventory, paint)


def _switch_line(done: Switch, paint: Painter) -> str:
    what = _carried(done)
    way = f"{done.session}: {done.origin} -> {done.account}"
    ended = "".join(f", once pid {pid} has ended" for pid in done.pids)
    refused = paint("refused", _BOLD + _RED)
    lines = {
        "held": f"{way}: not switched; the gate is not green",
        "refused": f"{way}: {refused}: {len(done.findings)} in the way; nothing was changed",
        "planned": f"{way}: would be switched, {what}{ended}",
        "already-there": f"{done.session}: runs under {done.account} already, {what}",
        "switched": f"{way}: switched, {what}",
        "returned": f"{way}: {paint('not switched', _BOLD + _RED)}: {done.detail}",
        "failed": f"{way}: {paint('failed', _BOLD + _RED)}: {done.detail}",
    }
    return lines[done.outcome]


def _carried(done: Switch) -> str:
    if done.conversation is None:
        return "with no conversation"
    if not done.begun:
        return f"without a conversation: nothing was said yet ({done.conversation})"
    return f"with conversation {done.conversation}"


def _held(sessions: Sequence[SessionStatus]) -> str:
    if not any(session.state is SessionState.HELD for session in sessions):
        return ""
    tried = (SessionState.STARTED, SessionState.FAILED)
    count = sum(session.state in tried for session in sessions)
    return f"; {count} were started before, the rest is held" if count else "; nothing was started"


def findings_blocks(findings: Iterable[Finding], inventory: Inventory, paint: Painter) -> list[str]:
    """Return a block of text for each account that has findings, then those for what has none.

    These are what all accounts share, links and their targets, and the machine as a whole.
    """
    homes = {account.name: account.home for account in inventory.accounts}
    whose = {session.name: session.account for session in inventory.sessions}
    titles = {name: f"{name} ({home})" for name, home in homes.items()}
    groups: dict[str, list[Finding]] = {
        title: [] for title in (*titles.values(), _SHARED, _MACHINE)
    }
    for finding in findings:
        name = finding.account or whose.get(finding.session or "")
        title = _MACHINE if finding.link is None else _SHARED
        groups.setdefault(titles.get(name, name) if name else title, []).append(finding)
    return [
        "\n".join([paint(title, _BOLD), *(_indented(found, paint) for found in some)])
        for title, some in groups.items()
        if some
    ]


def _indented(finding: Finding, paint: Painter) -> str:
    first, *rest = str(finding).splitlines()
    return "\n".join([f"  {paint(first, _RED)}", *(f"  {line}" for line in rest)])


def sessions_block(sessions: Sequence[SessionStatus], paint: Painter) -> str:
    """Return a line for each session, and below one that failed what it printed last."""
    names = max(len(session.name) for session in sessions)
    whose = [_whose(session) for session in sessions]
    accounts = max(map(len, whose))
    lines = [paint("sessions", _BOLD)]
    for session, account in zip(sessions, whose, strict=True):
        state = f"{session.state.value:<7}"
        if session.state is SessionState.FAILED:
            state = paint(state, _RED)
        detail = f"  {session.detail}" if session.detail else ""
        line = f"  {session.name:<{names}}  {account:<{accounts}}  {state}{detail}"
        lines.append(line.rstrip())
        lines += [f"    | {line}" for line in (session.words or "").splitlines()]
    return "\n".join(lines)


def _whose(session: SessionStatus) -> str:
    return f"{session.account} (not {session.wanted})" if session.wanted else session.account


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


def overview_text(view: Overview, inventory: Inventory, paint: Painter) -> str:
    """Return ``status`` as text: accounts × links, the sessions, the last report."""
    blocks = []
    if view.problem:
        blocks.append(paint(f"homes and targets: {view.problem}", _YELLOW))
    else:
        blocks.append(_matrix(view, paint))
    if view.sessions:
        blocks.append(sessions_block(view.sessions, paint))
    warnings = warning_lines(view.warnings, paint)
    report = _last_report(view.report, paint)
    blocks.append("\n".join([report, *warnings, *off_lines(inventory, paint)]))
    if view.history_problem:
        blocks.append(paint(f"history: {view.history_problem}", _YELLOW))
    else:
        from launcher.timeline import standing_lines

        if lines := standing_lines(view.history, time.time()):
            blocks.append("\n".join(lines))
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
