"""A fleet as text: a line a VM, the worst first; then what does not hold, and the sum of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from invariants.finding import Finding
from invariants.warning import Warned, counted
from launcher.colours import BOLD, GREEN, RED, YELLOW
from launcher.fleet.model import Fleet, Shared, Standing, Vm
from launcher.formats.words import brief, fields, plain, warning_fields
from launcher.reading import Reading
from launcher.render import Painter
from launcher.sessions import SessionState
from launcher.verdict import Colour

HEAD = f"{'':8} {'vm':20} {'age':>6}  what\n"
_COLOURS = {
    Standing.RED: RED,
    Standing.UNKNOWN: YELLOW,
    Standing.NOT_UP: YELLOW,
    Standing.GREEN: GREEN,
}
_NAMED = 8
_WHY = 3
"""Of how many failed sessions of a VM the reason is told."""
_UNITS = (("d", 86400), ("h", 3600), ("min", 60))


def line(vm: Vm, paint: Painter) -> str:
    """Return the line of one VM: how it stands, how old that is, failures and sessions."""
    reading = vm.reading
    word = paint(f"{vm.standing.word:8}", _COLOURS[vm.standing])
    told = [_verdict(reading)]
    if counts := sessions(reading):
        told.append(f"sessions: {counts}")
    for session in reading.failed_sessions[:_WHY]:
        told.append(plain(f"{session.name}: {session.detail or 'no reason is told'}"))
    if reading.warnings:
        told.append(counted(reading.warnings))
    if vm.note:
        told.append(vm.note)
    if vm.off:
        told.append(f"switched off: {', '.join(vm.off)}")
    return f"{word} {vm.name:20} {age(reading.age):>6}  {'; '.join(told)}\n"


def rest(fleet: Fleet, printed: Mapping[str, str], paint: Painter) -> str:
    """Return all of *fleet* but the lines that are *printed* already, by the VM's name."""
    lines = [text for vm in fleet.vms if printed.get(vm.name) != (text := line(vm, paint))]
    if fleet.shared:
        lines.append(f"\n{paint('what does not hold', BOLD)}\n")
        lines += [_shared(one, paint) for one in fleet.shared]
    if fleet.warnings:
        lines.append(f"\n{paint('warnings', BOLD)}\n")
        lines += [_warned(one, paint) for one in fleet.warnings]
    if fleet.unexpected:
        lines.append(f"\n{paint('not expected', BOLD)}: {names(fleet.unexpected)}\n")
    word = paint(fleet.standing.word, BOLD + _COLOURS[fleet.standing])
    return f"{''.join(lines)}\n{word}: {fleet.summary}\n"


def age(seconds: float | None) -> str:
    """Return an age in few characters.

    >>> age(59.4), age(3540.0), age(90000.0), age(None)
    ('59 s', '59 min', '25 h', '-')
    """
    if seconds is None:
        return "-"
    for unit, length in _UNITS:
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def _verdict(reading: Reading) -> str:
    if reading.verdict is Colour.UNKNOWN:
        said = reading.problem is not None and reading.said is not None
        return plain(reading.summary) + (f"; it said {reading.said}" if said else "")
    if reading.verdict is Colour.RED:
        count = len(reading.failures)
        return f"{count} of {reading.expected} {'does' if count == 1 else 'do'} not hold"
    return f"{reading.expected} hold"


def sessions(reading: Reading) -> str:
    """Return how many sessions are in which state, those that failed by name; or nothing."""
    by_state: dict[SessionState, list[str]] = {}
    for session in reading.sessions:
        by_state.setdefault(session.state, []).append(plain(session.name))
    failed = by_state.pop(SessionState.FAILED, [])
    told = [f"{len(failed)} failed ({names(failed)})"] if failed else []
    told += [f"{len(by_state[state])} {state}" for state in SessionState if state in by_state]
    return ", ".join(told)


def names(some: Iterable[str]) -> str:
    """Return the first few of *some*, and how many more there are."""
    every = list(some)
    more = [f"{len(every) - _NAMED} more"] if len(every) > _NAMED else []
    return ", ".join([*every[:_NAMED], *more])


def _shared(one: Shared[Finding], paint: Painter) -> str:
    told = [(name, text) for name, text in fields(one.finding) if name != "expected"]
    return _block(paint(brief(one.finding), RED), one, told)


def _warned(one: Shared[Warned], paint: Painter) -> str:
    return _block(paint(plain(one.finding.place), YELLOW), one, warning_fields(one.finding))


def _block(
    what: str, one: Shared[Finding] | Shared[Warned], told: Iterable[tuple[str, str]]
) -> str:
    count = f"{len(one.vms)} VM{'' if len(one.vms) == 1 else 's'}"
    where = "" if one.alike else f" (on {one.vms[0]}; on others it differs)"
    lines = [f"    {name:9} {text}{where if name == 'fix' else ''}\n" for name, text in told]
    return "".join([f"  {what}  {count}: {names(one.vms)}\n", *lines])
