"""Puts the VMs together: what is told twice counts once, what is expected has to be told."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace

from launcher.fleet.model import Fleet, Standing, Vm
from launcher.formats.words import plain
from launcher.reading import Reading


class Gathering:
    """Takes one VM after another, and makes a fleet of them in the end."""

    def __init__(self, max_age: float) -> None:
        self._max_age = max_age
        self._told: dict[str, list[Vm]] = {}

    def add(self, vm: Vm) -> bool:
        """Take *vm*; tell whether it is the first of its name."""
        reports = self._told.setdefault(vm.name, [])
        reports.append(vm)
        return len(reports) == 1

    def fleet(self, expected: Iterable[str] | None = None, source: str = "") -> Fleet:
        """Return the fleet; VMs that are *expected* (by *source*) and not told of are unknown.

        A VM is known by the name in its report, or by the directory that it was filed under; one
        report stands for one name only.
        """
        vms = [_one(name, reports) for name, reports in self._told.items()]
        others: list[str] = []
        if expected is not None:
            absent, others = _compared(vms, dict.fromkeys(expected))
            vms += [self._absent(name, source) for name in absent]
        vms.sort(key=lambda vm: (vm.standing, vm.name))
        return Fleet(tuple(vms), time.time(), self._max_age, tuple(others))

    def _absent(self, name: str, source: str) -> Vm:
        problem = f"no report: {source} names it"
        return Vm(name, name, Reading("", None, problem=problem, max_age=self._max_age))


def _compared(vms: list[Vm], expected: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return who is expected and not among *vms*, and who is among them and not expected."""
    free = {vm.name: vm for vm in vms}
    missing = [name for name in expected if free.pop(name, None) is None]
    filed = {plain(vm.filed): vm.name for vm in free.values()}
    absent = []
    for name in missing:
        if (found := filed.pop(name, None)) is not None:
            del free[found]
        else:
            absent.append(name)
    return absent, sorted(free)


def _one(name: str, reports: list[Vm]) -> Vm:
    """Return the one VM that *reports* are of: with more than one of them it is never green."""
    first = reports[0]
    if len(reports) == 1:
        return first
    paths = tuple(path for one in reports for path in one.paths)
    text = f"{len(reports)} reports of one name: {'; '.join(map(_said, reports))}"
    red = [one for one in reports if one.standing is Standing.RED]
    if not red:
        reading = first.reading._replace(problem=text, failures=(), sessions=(), warned=())
        return Vm(name, first.filed, reading, paths=paths)
    failures = {failure.nodeid: failure for one in red for failure in one.reading.failures}
    reading = red[0].reading._replace(failures=tuple(failures.values()))
    return replace(red[0], reading=reading, note=text, paths=paths, holds=frozenset())


def _said(vm: Vm) -> str:
    reading = vm.reading
    if reading.said is None or reading.age is None:
        return plain(reading.summary)
    return f"{plain(reading.path)} says {reading.said.value}, {reading.age:.0f} s old"
