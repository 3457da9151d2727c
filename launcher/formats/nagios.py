r"""Nagios, Icinga, Naemon: an exit code, a line, and performance data after a pipe character.

After the guidelines of the Monitoring Plugins project (Plugin Output for Nagios, Threshold and
Ranges). No character of Nagios escapes a pipe, so in texts it is written ``\x7c``.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from invariants.warning import counted
from launcher.formats import Shown
from launcher.formats.words import brief, fields, plain, warning
from launcher.reading import Reading
from launcher.verdict import Colour

if TYPE_CHECKING:
    from launcher.fleet import Fleet, Vm

_NAMED = 3
_LISTED = 20
"""How many failures, and warnings, are told: Nagios cuts what a plugin prints after 8 KB."""


class State(IntEnum):
    """The exit codes of a plugin."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


def show(reading: Reading) -> Shown:
    """Return the plugin's output. A session that is not up is critical too.

    Warnings make it WARNING only if it would be OK without them.
    """
    state = _state(reading)
    first = f"CLAUDE_FAILOVER {state.name} - {_summary(reading)} | {_performance(reading)}"
    return Shown("\n".join([first, *map(_piped, _details(reading))]) + "\n", state)


def show_fleet(fleet: Fleet) -> Shown:
    """Return the plugin's output for many VMs: the worst state of them all.

    Critical is worse than unknown, and unknown worse than warning.
    """
    states = [_state_of(vm) for vm in fleet.vms]
    order = (State.CRITICAL, State.UNKNOWN, State.WARNING, State.OK)
    state = next((one for one in order if one in states), State.UNKNOWN)
    bad = [vm for vm, one in zip(fleet.vms, states, strict=True) if one is not State.OK]
    named = [vm.name for vm in bad[:_NAMED]]
    more = [f"{len(bad) - _NAMED} more"] if len(bad) > _NAMED else []
    names = f" ({', '.join([*named, *more])})" if named else ""
    summary = _piped(f"{fleet.summary}{names}")
    first = f"CLAUDE_FAILOVER {state.name} - {summary} | {_numbers(fleet)}"
    return Shown("\n".join([first, *map(_piped, _told(fleet, bad))]) + "\n", state)


def _state_of(vm: Vm) -> State:
    if vm.reading.verdict is Colour.UNKNOWN:
        return State.UNKNOWN
    return _state_of_known(vm.reading)


def _state_of_known(reading: Reading) -> State:
    if reading.verdict is not Colour.GREEN or reading.failed_sessions:
        return State.CRITICAL
    return State.WARNING if reading.warnings else State.OK


def _told(fleet: Fleet, bad: list[Vm]) -> list[str]:
    """Return a line for each VM that is not well, then one for each failure that they have."""
    lines = []
    for vm in bad[:_LISTED]:
        failed = ", ".join(plain(session.name) for session in vm.reading.failed_sessions)
        told = [plain(vm.reading.summary), *([vm.note] if vm.note else [])]
        if failed and vm.reading.verdict is not Colour.GREEN:
            told.append(f"a session is not up: {failed}")
        if vm.reading.warnings:
            told.append(counted(vm.reading.warnings))
        lines.append(f"{vm.name}: {vm.standing.word}: {'; '.join(told)}")
    if len(bad) > _LISTED:
        lines.append(f"and {len(bad) - _LISTED} more")
    for one in fleet.shared[:_LISTED]:
        lines.append(f"{brief(one.finding)}: {len(one.vms)} VMs, first {one.vms[0]}")
    for shared in fleet.warnings[:_LISTED]:
        place = plain(shared.finding.place)
        lines.append(f"warning: {place}: {len(shared.vms)} VMs, first {shared.vms[0]}")
    return lines


def _numbers(fleet: Fleet) -> str:
    total = len(fleet.vms)
    numbers = [f"vms={total};;;0"]
    for standing, count in fleet.counts.items():
        bound = "" if standing.name == "GREEN" else "0"
        numbers.append(f"{standing.key}={count};;{bound};0;{total}")
    warned = sum(bool(vm.reading.warnings) for vm in fleet.vms)
    numbers.append(f"warned={warned};0;;0;{total}")
    ages = [vm.reading.age for vm in fleet.vms if vm.reading.age is not None]
    if ages:
        numbers.append(f"oldest={max(*ages, 0.0):g}s;;{_bound(fleet.max_age)};0")
    return " ".join(numbers)


def _state(reading: Reading) -> State:
    if reading.verdict is Colour.UNKNOWN or reading.inventory is None:
        return State.UNKNOWN
    return _state_of_known(reading)


def _summary(reading: Reading) -> str:
    summary = plain(reading.summary)
    if reading.verdict is Colour.RED:
        named = [brief(failure.finding) for failure in reading.failures[:_NAMED]]
        more = [f"{len(reading.failures) - _NAMED} more"] if len(reading.failures) > _NAMED else []
        summary += f" ({', '.join([*named, *more])})"
    if reading.warnings:
        first = reading.warnings[0]
        more = ["…"] if len(reading.warnings) > 1 else []
        named = [plain(f"{first.place}: {first.found}"), *more]
        summary += f"; {counted(reading.warnings)} ({', '.join(named)})"
    return _piped(summary)


def _details(reading: Reading) -> list[str]:
    if reading.problem is not None:
        return []
    lines = []
    for failure in reading.failures[:_LISTED]:
        told = "; ".join(f"{name} {text}" for name, text in fields(failure.finding))
        lines.append(f"{brief(failure.finding)}; {told}")
    if len(reading.failures) > _LISTED:
        lines.append(f"and {len(reading.failures) - _LISTED} more")
    for session in reading.failed_sessions:
        lines.append(plain(f"session {session.name}: {session.state}: {session.detail}"))
    lines += map(warning, reading.warnings[:_LISTED])
    if len(reading.warnings) > _LISTED:
        lines.append(f"and {counted(reading.warnings[_LISTED:])} more")
    return lines


def _performance(reading: Reading) -> str:
    """Return ``label=value;warn;crit;min;max`` for each number that is known now."""
    numbers = []
    if reading.age is not None:
        numbers.append(f"age={max(reading.age, 0):g}s;;{_bound(reading.max_age)};0")
    if reading.problem is None and reading.started is not None and reading.finished is not None:
        numbers += [
            f"duration={reading.finished - reading.started:.3f}s;;;0",
            f"passed={reading.passed};;;0;{reading.expected}",
            f"failures={len(reading.failures)};;0;0",
            f"sessions_failed={len(reading.failed_sessions)};;0;0",
            f"warnings={len(reading.warnings)};0;;0",
        ]
    return " ".join(numbers)


def _bound(max_age: float) -> str:
    return f"{max_age:g}" if max_age != float("inf") else ""


def _piped(text: str) -> str:
    return text.replace("|", "\\x7c")
