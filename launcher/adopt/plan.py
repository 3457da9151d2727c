"""The merge, worked out file by file before anything is written.

What a plan rests on is in it: every node of the account's directory, and for each name of the
target that matters what was there. So a second plan over the same trees tells whether anything
changed, and a plan over trees that an adoption was through has nothing left to do.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from invariants.access import user_name
from invariants.finding import Finding, quoted
from invariants.fixes import as_root, free_name, look
from invariants.model import Account, Link
from launcher.adopt.busy import Tenant
from launcher.adopt.compare import Comparison, Place, Relation
from launcher.adopt.names import is_abandoned, is_temporary
from launcher.adopt.target import Target, folded, is_unfinished
from launcher.adopt.tree import ROOT, Listing, Node, Tree, joined, listing, parent_of
from launcher.interrupts import Interrupts

INVARIANT = "adopt"


class Rule(StrEnum):
    """What is done about one name."""

    MAKE = "create"
    INSIDE = "directory-there"
    TAKE = "take-over"
    THERE = "already-there"
    LONGER = "take-longer"
    SHORTER = "keep-longer"
    KEEP = "keep-both"
    KEPT = "kept-already"


WRITES = frozenset({Rule.MAKE, Rule.TAKE, Rule.LONGER, Rule.KEEP})


class Step(NamedTuple):
    """One name below the entry, what is there, what is done, and what the target has there."""

    rule: Rule
    path: bytes
    node: Node
    seen: Node | None


class Conflict(NamedTuple):
    """Two that cannot be one: where the account's is, and the target's."""

    path: bytes
    ours: Place
    theirs: Place


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose entry is adopted, and what a pasted command needs to reach the same inventory."""

    account: Account
    link: Link
    option: str = ""

    @property
    def entry(self) -> str:
        """The path of the entry."""
        return self.account.entry(self.link)

    def command(self, *options: str) -> str:
        """Return the command that adopts this entry, with *options*."""
        words = quoted("launcher", "adopt", self.account.name, self.link.name, *options)
        return words + self.option

    def finding(self, state: str, expected: str, found: str, fix: str) -> Finding:
        """Return what stands in the way of adopting this entry."""
        return Finding(
            invariant=INVARIANT,
            account=self.account.name,
            link=self.link.name,
            state=state,
            expected=expected,
            found=found,
            fix=fix,
        )

    def busy(
        self, found: Sequence[Tenant], ignored: Collection[int], *options: str
    ) -> list[Finding]:
        """Return a finding about each process that must end first.

        The command in its fix overlooks what was overlooked already, and all that cannot be looked
        into: what to do about these is one decision, and one command must be enough for it.
        """
        shut = {one.pid for one in found if one.is_shut}
        findings = []
        for one in found:
            pids = sorted({*ignored, *shut, one.pid})
            words = [word for pid in pids for word in ("--ignore-process", str(pid))]
            anyway = self.command(*options, *words)
            others = " (and so with the others in it)" if len(pids) > 1 else ""
            findings.append(
                self.finding(
                    "busy",
                    "nobody at work there",
                    f"pid {one.pid} ({one.command}): {one.why}",
                    look(
                        *("ps", "-fp", str(one.pid)),
                        note=f"end it; or, if it surely writes nothing there{others}: {anyway}",
                    ),
                )
            )
        return findings


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done for one entry, and all that stands in the way of it."""

    subject: Subject
    listing: Listing
    steps: list[Step] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    abandoned: list[bytes] = field(default_factory=list)

    def files(self, *rules: Rule) -> list[Step]:
        """Return the steps of *rules* that are about files."""
        return [step for step in self.steps if step.rule in rules and step.node.is_file]

    @property
    def has_work(self) -> bool:
        """Whether anything is to be written."""
        return any(step.rule in WRITES for step in self.steps)


class Kept(NamedTuple):
    """A directory of kept copies that an adoption may go on with; ``tree`` None: a new one."""

    name: str
    tree: Tree | None

    def has(self, ours: Place, comparison: Comparison) -> bool:
        """Tell whether the same file, or a directory in its place, is kept there already."""
        there = self.tree.look(ours.path) if self.tree is not None else None
        if self.tree is None or there is None:
            return False
        if there.is_directory or ours.node.is_directory:
            finished = not is_unfinished(self.tree, ours.path)
            return there.is_directory and ours.node.is_directory and finished
        kept = Place(self.tree, ours.path, there)
        return comparison.relation(ours, kept, appended=False) is Relation.SAME


def make_plan(
    subject: Subject,
    source: Tree,
    target: Target,
    comparison: Comparison,
    kept: Kept | None,
    mounted: Mapping[str, str],
    interrupts: Interrupts,
) -> Plan:
    """Read the directory of an entry and say what is done about every name in it.

    Conflicts go to *kept*; they are findings where it is None. Reads both trees, and the
    content of files that are in both. Raises Changed where something changes under its eyes,
    Interrupted; whatever else cannot be read is a finding.
    """
    return _Planner(subject, source, target, comparison, kept, mounted, interrupts).plan()


class _Planner:
    def __init__(
        self,
        subject: Subject,
        source: Tree,
        target: Target,
        comparison: Comparison,
        kept: Kept | None,
        mounted: Mapping[str, str],
        interrupts: Interrupts,
    ) -> None:
        source.forget()
        if target.tree is not None:
            target.tree.forget()
        self._subject, self._source, self._target = subject, source, target
        self._comparison, self._kept = comparison, kept
        self._interrupts = interrupts
        self._mounts, self._user = mounted, os.geteuid()
        self._plan = Plan(subject, listing(source, interrupts))
        self._absent: set[bytes] = set()
        self._apart: set[bytes] = set()
        self._there: dict[bytes, frozenset[bytes]] = {}
        self._below: dict[bytes, list[bytes]] = {}
        if not target.keeps_case:
            for path in self._plan.listing.nodes:
                self._below.setdefault(parent_of(path), []).append(path)

    def plan(self) -> Plan:
        self._refuse_mounts()
        for path, words in self._plan.listing.unread:
            self._refuse("unreadable", path, "what can be read", words, "namei -l")
        self._enter(ROOT)
        for path, node in self._plan.listing.nodes.items():
            self._interrupts.check()
            if self._is_fit(path, node):
                self._decide(path, node)
        self._refuse_what_cannot_be_written()
        return self._plan

    # what is refused whatever the target holds

    def _refuse_mounts(self) -> None:
        top = os.path.realpath(self._source.path)
        for point in self._mounts:
            if f"{point}/".startswith(f"{top}/"):
                fix = as_root("umount", point)
                found = f"a mount point: {point}"
                self._find("mount-point", "one file system", found, fix)

    def _is_fit(self, path: bytes, node: Node) -> bool:
        if not (node.is_file or node.is_directory):
            kind = "inner-symlink" if stat.S_ISLNK(node.mode) else "special-file"
            found = "a symlink" if stat.S_ISLNK(node.mode) else "a special file"
            self._refuse(kind, path, "files and directories only", found, "ls -ld")
            return False
        if node.uid != self._user:
            expected = f"what belongs to {user_name(self._user)}"
            found = f"it belongs to {user_name(node.uid)}"
            self._refuse("not-yours", path, expected, found, "ls -ld")
        if not self._source.readable(path, node):
            mode = f"mode {stat.S_IMODE(node.mode):04o}"
            self._refuse("unreadable", path, "what can be read", mode, "chmod u+rX")
        name = path.rpartition(b"/")[2]
        if len(name) > self._target.longest_name:
            expected = f"a name of {self._target.longest_name} bytes at most"
            self._refuse("name-too-long", path, expected, f"{len(name)} bytes", "ls -ld")
        return True

    # what is done about each

    def _decide(self, path: bytes, node: Node) -> None:
        parent = parent_of(path)
        if parent in self._apart:
            self._keep(path, node, None)
        elif parent in self._absent:
            self._take(path, node)
        else:
            try:
                other = self._target.look_in(self._there.get(parent, ()), path)
                if other is None:
                    self._take(path, node)
                elif node.is_directory and other.node.is_directory:
                    self._merge_directory(path, node, other)
                elif node.is_file and other.node.is_file:
                    self._merge_file(path, node, other)
                else:
                    self._conflict(path, node, other)
            except OSError as error:
                words = error.strerror or str(error)
                self._refuse("unreadable", path, "files that can be compared", words, "ls -ld")

    def _take(self, path: bytes, node: Node) -> None:
        if node.is_directory:
            self._absent.add(path)
            self._refuse_alike(path)
        self._add(Rule.MAKE if node.is_directory else Rule.TAKE, path, node, None)

    def _merge_directory(self, path: bytes, node: Node, other: Place) -> None:
        on_disk = other.tree is self._target.tree
        if on_disk and self._target.is_elsewhere(other.node):
            found = "another file system begins there"
            self._refuse("mount-point", path, "a target on one file system", found, "findmnt -T")
        self._enter(path)
        unfinished = on_disk and is_unfinished(other.tree, path)
        self._add(Rule.MAKE if unfinished else Rule.INSIDE, path, node, other.node)

    def _merge_file(self, path: bytes, node: Node, other: Place) -> None:
        appended = path.endswith(b".jsonl")
        ours = Place(self._source, path, node)
        rule = _RULES[self._comparison.relation(ours, other, appended=appended)]
        if rule is Rule.LONGER and other.node.uid != self._user:
            # Its owner would lose it, and whether somebody has it open could not be told.
            place = other.tree.shown(other.path)
            expected = f"a shorter transcript that belongs to {user_name(self._user)}"
            found = f"{place}: it belongs to {user_name(other.node.uid)}"
            self._find("not-yours", expected, found, as_root("chown", str(self._user), place))
        elif rule is None:
            self._conflict(path, node, other)
        else:
            self._add(rule, path, node, other.node)

    def _conflict(self, path: bytes, node: Node, other: Place) -> None:
        ours = Place(self._source, path, node)
        self._plan.conflicts.append(Conflict(path, ours, other))
        self._keep(path, node, other.node)
        if self._kept is None:
            theirs = other.tree.shown(other.path)
            found = f"{self._source.shown(path)} ({described(node)}), and {theirs} "
            found += f"({described(other.node)})"
            expected = "one of the two absent, the same, or a transcript that the other goes on"
            self._find("conflict", expected, found, self._subject.command("--keep-both"))

    def _keep(self, path: bytes, node: Node, seen: Node | None) -> None:
        if node.is_directory:
            self._apart.add(path)
        ours = Place(self._source, path, node)
        there = self._kept is not None and self._kept.has(ours, self._comparison)
        self._add(Rule.KEPT if there else Rule.KEEP, path, node, seen)

    def _add(self, rule: Rule, path: bytes, node: Node, seen: Node | None) -> None:
        self._plan.steps.append(Step(rule, path, node, seen))

    # what the target cannot take

    def _enter(self, path: bytes) -> None:
        """Look at a directory that the target has, before what is in it."""
        try:
            names = self._target.names(path)
        except OSError as error:
            words = error.strerror or str(error)
            self._refuse("unreadable", path, "a target that can be read", words, "ls -ld")
            return
        self._there[path] = frozenset(names)
        self._plan.abandoned.extend(joined(path, name) for name in names if is_abandoned(name))
        self._refuse_alike(path)

    def _refuse_alike(self, path: bytes) -> None:
        """Refuse names that the target's file system would take for one another."""
        there = {
            folded(joined(path, name)): joined(path, name)
            for name in self._there.get(path, ())
            if path in self._below and not is_temporary(name)
        }
        for whole in self._below.get(path, ()):
            like = there.setdefault(folded(whole), whole)
            other = like if like != whole else self._target.planned_like(whole)
            if other is not None:
                found = f"{os.fsdecode(other)!r} differs by case only"
                expected = "names that the target's file system can tell apart"
                self._refuse("case", whole, expected, found, "mv -nT")

    def _refuse_what_cannot_be_written(self) -> None:
        parents = {
            parent_of(step.path)
            for step in self._plan.steps
            if step.rule in (Rule.MAKE, Rule.TAKE, Rule.LONGER)
        }
        for parent in sorted(parents - self._absent):
            if not self._target.writable(parent):
                words = "the running user may create nothing in it"
                place = os.path.join(self._target.path, os.fsdecode(parent))
                fix = quoted("chmod", "u+rwx", place)
                self._find("read-only", "a target that can be written", f"{place}: {words}", fix)
        needed, free = self.bytes_to_copy(), self._target.free_bytes - self._target.planned_bytes
        if needed > free:
            expected = f"{needed} bytes free on the file system of {self._target.path}"
            fix = look("df", "-h", self._target.path, note="make room")
            self._find("no-space", expected, f"{free} bytes", fix)

    def bytes_to_copy(self) -> int:
        """Return how many bytes the target's file system must find room for."""
        return bytes_to_copy(self._plan, self._target)

    # findings

    def _refuse(self, state: str, path: bytes, expected: str, found: str, command: str) -> None:
        place = self._source.shown(path)
        words = [*command.split(), place]
        if command == "mv -nT":
            fix = quoted(*words, free_name(place, "renamed"))
        elif command.startswith("chmod"):
            fix = quoted(*words)
        else:
            fix = look(*words, note=f"there may only be {expected}")
        self._find(state, expected, f"{place}: {found}", fix)

    def _find(self, state: str, expected: str, found: str, fix: str) -> None:
        self._plan.findings.append(self._subject.finding(state, expected, found, fix))


_RULES: Mapping[Relation, Rule | None] = {
    Relation.SAME: Rule.THERE,
    Relation.LONGER: Rule.LONGER,
    Relation.SHORTER: Rule.SHORTER,
    Relation.DIFFERENT: None,
}


def bytes_to_copy(plan: Plan, target: Target) -> int:
    """Return how many bytes *plan* copies: none within a file system, one inode's only once."""
    copied = {
        step.node.inode: step.node.size
        for step in plan.files(Rule.TAKE, Rule.LONGER)
        if target.is_elsewhere(step.node)
    }
    return sum(copied.values())


def places(plan: Plan, source: Tree) -> list[Place]:
    """Return what *plan* will put into the target, for the plans that come after it."""
    rules = (Rule.MAKE, Rule.TAKE, Rule.LONGER)
    return [Place(source, step.path, step.node) for step in plan.steps if step.rule in rules]


def described(node: Node) -> str:
    """Say in words what *node* is."""
    if node.is_file:
        return f"{node.size} bytes"
    if node.is_directory:
        return "a directory"
    return "a symlink" if stat.S_ISLNK(node.mode) else "a special file"
