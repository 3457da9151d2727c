"""What is known of many VMs: one of each, all of them, and the failures that they share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Any, Generic, TypeVar

from invariants.finding import Finding
from invariants.warning import Warned
from launcher.errors import ExitCode
from launcher.formats.words import plain
from launcher.reading import Reading
from launcher.verdict import Colour


class Standing(IntEnum):
    """How a VM stands, the worst first.

    What is known to be broken comes before what is not known, as in ``launcher status``.
    """

    RED = 0
    UNKNOWN = 1
    NOT_UP = 2
    GREEN = 3

    @property
    def key(self) -> str:
        """The standing, for programs."""
        return self.name.lower()

    @property
    def word(self) -> str:
        """The standing, for people."""
        return self.key.replace("_", " ")

    @property
    def code(self) -> ExitCode:
        """The exit code that it means, as for one VM."""
        return _CODES[self]


_CODES = {
    Standing.RED: ExitCode.RED,
    Standing.UNKNOWN: ExitCode.UNKNOWN,
    Standing.NOT_UP: ExitCode.UNAVAILABLE,
    Standing.GREEN: ExitCode.OK,
}


@dataclass(frozen=True, slots=True)
class Vm:
    """One VM by its name: what its report says, as it counts now.

    Of a report that does not count only the verdict that it ``said`` is kept, and its times.
    ``filed`` is what the directory or file that the report came in calls it, ``note`` what a
    person must know beside the report. ``holds`` are the invariants of which every check passed,
    ``off`` the families that its inventory switches off. ``paths`` are where its reports were read
    from: none where it was only expected.
    """

    name: str
    filed: str
    reading: Reading
    note: str | None = None
    holds: frozenset[str] = frozenset()
    off: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

    @property
    def standing(self) -> Standing:
        """How it stands: green only where its verdict counts, and all its sessions are up."""
        if self.reading.verdict is Colour.RED:
            return Standing.RED
        if self.reading.verdict is Colour.UNKNOWN:
            return Standing.UNKNOWN
        return Standing.NOT_UP if self.reading.failed_sessions else Standing.GREEN

    @property
    def failing(self) -> Mapping[str, int]:
        """How many checks of each invariant did not pass."""
        return Counter(plain(failure.finding.invariant) for failure in self.reading.failures)

    def as_json(self) -> dict[str, Any]:
        """Return the entry of ``fleet --json``."""
        reading = self.reading
        return {
            "vm": self.name,
            "standing": self.standing.key,
            "verdict": reading.verdict.value,
            "said": None if reading.said is None else reading.said.value,
            "problem": reading.problem,
            "reason": reading.reason,
            "note": self.note,
            "age": reading.age,
            "finished": reading.finished,
            "expected": reading.expected,
            "passed": reading.passed,
            "failures": [
                {"nodeid": failure.nodeid, **failure.finding.as_json()}
                for failure in reading.failures
            ],
            "warnings": [warned.as_json() for warned in reading.warnings],
            "sessions": [session.as_report() for session in reading.sessions],
            "off": list(self.off),
            "reports": list(self.paths),
        }


_Found = TypeVar("_Found", Finding, Warned)


@dataclass(frozen=True, slots=True)
class Shared(Generic[_Found]):
    """One failure or warning, and the VMs that it was found on, as the first of them has it.

    ``alike`` tells whether it is mended by the same fix on all of them.
    """

    finding: _Found
    vms: tuple[str, ...]
    alike: bool

    def as_json(self) -> dict[str, Any]:
        """Return the entry of ``fleet --json``."""
        return {**self.finding.as_json(), "alike": self.alike, "vms": list(self.vms)}


@dataclass(frozen=True)
class Fleet:
    """All VMs, the worst first. ``at`` is when they were read, in seconds since the epoch.

    ``unexpected`` are those that the list of all VMs does not name, where there was one.
    """

    vms: tuple[Vm, ...]
    at: float
    max_age: float
    unexpected: tuple[str, ...] = ()
    counts: Mapping[Standing, int] = field(init=False)

    def __post_init__(self) -> None:
        counts = Counter(vm.standing for vm in self.vms)
        object.__setattr__(self, "counts", {one: counts[one] for one in Standing})

    @property
    def standing(self) -> Standing:
        """The worst of all; unknown where there is no VM."""
        return min((vm.standing for vm in self.vms), default=Standing.UNKNOWN)

    @property
    def reports(self) -> int:
        """How many files, or lines, they were read from."""
        return sum(len(vm.paths) for vm in self.vms)

    @cached_property
    def invariants(self) -> list[str]:
        """The invariants that any report that counts tells of."""
        return sorted({name for vm in self.vms for name in (*vm.holds, *vm.failing)})

    @cached_property
    def shared(self) -> list[Shared[Finding]]:
        """Every failure once, that on the most VMs first."""
        found: dict[tuple[str | None, ...], dict[str, Finding]] = {}
        for vm in self.vms:
            for finding in (failure.finding for failure in vm.reading.failures):
                found.setdefault((*_where(finding), finding.state), {})[vm.name] = finding
        return _shared(found)

    @cached_property
    def warnings(self) -> list[Shared[Warned]]:
        """Every warning once, that on the most VMs first."""
        found: dict[tuple[str | None, ...], dict[str, Warned]] = {}
        for vm in self.vms:
            for warned in vm.reading.warnings:
                found.setdefault(_where(warned), {}).setdefault(vm.name, warned)
        return _shared(found)

    @property
    def summary(self) -> str:
        """The fleet in one sentence."""
        total = f"{len(self.vms)} VM{'' if len(self.vms) == 1 else 's'}"
        if not self.vms:
            return "no VM is known"
        if self.standing is Standing.GREEN:
            return f"all of {total} {_are(len(self.vms))} green"
        (first, count), *others = [(one, n) for one, n in self.counts.items() if n]
        parts = [f"{count} of {total} {_are(count)} {first.word}"]
        return ", ".join([*parts, *(f"{n} {one.word}" for one, n in others)])

    def as_json(self) -> dict[str, Any]:
        """Return the document of ``fleet --json``."""
        return {
            "standing": self.standing.key,
            "at": round(self.at, 3),
            "counts": {standing.key: count for standing, count in self.counts.items()},
            "vms": [vm.as_json() for vm in self.vms],
            "unexpected": list(self.unexpected),
            "failures": [one.as_json() for one in self.shared],
            "warnings": [one.as_json() for one in self.warnings],
        }


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _where(one: Finding | Warned) -> tuple[str | None, ...]:
    return (one.invariant, one.account, one.link, one.session)


def _shared(found: Mapping[Any, Mapping[str, _Found]]) -> list[Shared[_Found]]:
    every = []
    for by_vm in found.values():
        first, *others = by_vm.values()
        alike = all(one.fix == first.fix for one in others)
        every.append(Shared(first, tuple(by_vm), alike))
    return sorted(every, key=lambda one: (-len(one.vms), one.finding.place))
