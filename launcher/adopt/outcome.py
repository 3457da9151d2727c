"""What is asked of an adoption, and what comes out of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from invariants.finding import Finding
from invariants.model import Account
from launcher.adopt.plan import Plan, Rule, Subject
from launcher.errors import Refused
from launcher.interrupts import Interrupts


@dataclass(frozen=True, slots=True)
class Adopted:
    """What became of one entry, or with ``old`` None and ``shared`` False, what would.

    ``old`` names the old directory, ``kept`` the directory of copies that could not be merged;
    ``copied`` tells that the target's files are not the old directory's own, by another name.
    """

    subject: Subject
    plan: Plan | None = None
    old: str | None = None
    kept: str | None = None
    copied: bool = False
    shared: bool = False
    late: int = 0
    notes: tuple[str, ...] = ()

    def count(self, *rules: Rule) -> tuple[int, int]:
        """Return how many files fell under *rules*, and how many bytes they hold."""
        steps = self.plan.files(*rules) if self.plan is not None else []
        return len(steps), sum(step.node.size for step in steps)

    def as_json(self) -> dict[str, Any]:
        """Return the numbers and the places, and of all names only those in conflict."""
        counted = {
            "taken_over": self.count(Rule.TAKE),
            "already_there": self.count(Rule.THERE),
            "longer_taken": self.count(Rule.LONGER),
            "longer_kept": self.count(Rule.SHORTER),
            "both_kept": self.count(Rule.KEEP, Rule.KEPT),
        }
        conflicts = self.plan.conflicts if self.plan is not None else []
        return {
            "account": self.subject.account.name,
            "link": self.subject.link.name,
            "entry": self.subject.entry,
            "target": self.subject.link.target,
            "already_shared": self.shared,
            **{name: {"files": files, "bytes": size} for name, (files, size) in counted.items()},
            "conflicts": [os.fsdecode(conflict.path) for conflict in conflicts],
            "added_late": self.late,
            "old_directory": self.old,
            "kept_directory": self.kept,
            "copied": self.copied,
            "notes": list(self.notes),
        }


class AdoptionRefused(Refused):
    """All that stands in the way; nothing was written.

    ``memories`` shows how the conflicting ones differ, and is for a terminal only.
    """

    def __init__(self, findings: Iterable[Finding], memories: str = "") -> None:
        self.findings = tuple(findings)
        self.memories = memories
        super().__init__("\n".join(map(str, self.findings)))


class Stopped(Refused):
    """An adoption that ended before its last step."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """How to adopt: for which inventory, what to do with conflicts, whom to overlook, whom to tell.

    ``tell`` is called with a subject, and the files and bytes done so far, and in all; ``note``
    with each outcome at once, so that it is known whatever happens to those after it.
    """

    accounts: Sequence[Account]
    interrupts: Interrupts
    option: str = ""
    keep_both: bool = False
    dry_run: bool = False
    ignored: Collection[int] = ()
    tell: Callable[[Subject, int, int, int, int], None] = lambda *numbers: None
    note: Callable[[Any], object] = lambda outcome: None
