"""One entry on its way from a directory to a link."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from invariants.finding import Finding
from invariants.fixes import look
from invariants.links import LinkState, observe
from launcher.adopt.busy import Premises, Tenant, tenants
from launcher.adopt.carry import Carrier, Report
from launcher.adopt.compare import Comparison
from launcher.adopt.metadata import keep_younger
from launcher.adopt.names import ADOPTED, KEPT, dated, new_dated
from launcher.adopt.outcome import Adopted, Adoption, Stopped
from launcher.adopt.plan import (
    WRITES,
    Conflict,
    Kept,
    Plan,
    Rule,
    Step,
    Subject,
    bytes_to_copy,
    make_plan,
    places,
)
from launcher.adopt.swap import NoExchange, link_in, link_out, make_last, sweep
from launcher.adopt.target import Target
from launcher.adopt.tree import ROOT, Changed, Node, Tree, listing, parent_of
from launcher.errors import Interrupted, NotJudged
from launcher.interrupts import Interrupts

_SAFE = "nothing is lost: the directory is where it was; run it again"


@contextmanager
def stopping(work: Work) -> Iterator[None]:
    """Turn what can go wrong on the way into what an operator needs to hear."""
    try:
        yield
    except Changed as error:
        raise Stopped(f"{error} changed meanwhile; {_SAFE}") from error
    except NoExchange as error:
        raise Stopped(str(error)) from error
    except OSError as error:
        words = error.strerror or str(error)
        place = f" ({error.filename})" if error.filename else ""
        raise Stopped(f"{words}{place}; {_SAFE}") from error
    except Interrupted as error:
        name = signal.Signals(error.signal_number).name
        words = f"{name}: {work.place}: {work.report.files} files done; {_SAFE}"
        raise Interrupted(error.signal_number, words) from error


class Work:
    """One entry on its way: what is planned for it, and what is done."""

    def __init__(
        self, subject: Subject, how: Adoption, seen: Comparison, mounted: Mapping[str, str]
    ) -> None:
        self.subject, self._how, self._seen, self._mounts = subject, how, seen, mounted
        self.is_shared = observe(subject.entry, subject.link.target).state is LinkState.SHARED
        self.report = Report(tell=self._tell)
        self._kept: Kept | None = None
        self._source: Tree
        self._plan: Plan | None = None
        self._target_copies = False
        self._files = self._size = 0

    @property
    def place(self) -> str:
        """Which entry it is, as a person names it."""
        return f"{self.subject.account.name} {self.subject.link.name}"

    @property
    def findings(self) -> list[Finding]:
        """All that stands in the way, as far as the trees tell."""
        return self._plan.findings if self._plan is not None else []

    @property
    def conflicts(self) -> list[Conflict]:
        """The files of which there are two."""
        return self._plan.conflicts if self._plan is not None else []

    def plan(self, source: Tree, target: Target) -> None:
        """Plan the merge of *source* into *target*, and let *target* know what it will hold."""
        self._source = source
        if self._how.keep_both:
            self._kept = _kept(self.subject, source, self._how.interrupts)
        self._plan = self._merge(target)
        self._target_copies = target.is_elsewhere(self._root())
        self._plan.findings.extend(self._misplaced())
        target.add(places(self._plan, source), bytes_to_copy(self._plan, target))

    def _merge(self, target: Target) -> Plan:
        return make_plan(
            self.subject,
            self._source,
            target,
            self._seen,
            self._kept,
            self._mounts,
            self._how.interrupts,
        )

    def _root(self) -> Node:
        return Node.of(os.fstat(self._source.directory(ROOT)))

    def _misplaced(self) -> list[Finding]:
        """Refuse an entry that cannot be swapped, or that holds its target or is in it."""
        entry, target = (os.path.realpath(p) for p in (self._source.path, self.subject.link.target))
        found = []
        if f"{target}/".startswith(f"{entry}/") or f"{entry}/".startswith(f"{target}/"):
            fix = look("ls", "-ldi", entry, target, note="name another target in the inventory")
            found.append(self.subject.finding("nested", "two places", f"{entry}, {target}", fix))
        if os.stat(self.subject.account.home).st_dev != self._root().dev:
            expected = "a directory on the file system of its home"
            fix = look("findmnt", "-T", entry, note="what is mounted there, and must not be")
            found.append(self.subject.finding("mount-point", expected, "on another one", fix))
        dated_name = new_dated(self.subject.account.home, self.subject.link.name, ADOPTED)
        longest = os.statvfs(self.subject.account.home).f_namemax
        if len(os.fsencode(dated_name)) > longest:
            expected = f"room for a dated name in {longest} bytes"
            note = "give the link a shorter name in the inventory"
            fix = look("ls", "-ld", entry, note=note)
            found.append(self.subject.finding("name-too-long", expected, dated_name, fix))
        return found

    def busy(self, *, written: bool = False) -> list[Finding]:
        """Return a finding for every process that lives in the home or in the target.

        Once the plan is *written*, shorter files of the target's have been replaced.
        """
        link = self.subject.link
        both = (self._source.path, link.target)
        homes = [
            account.home
            for account in [self.subject.account, *self._how.accounts]
            if account == self.subject.account
            or any(_is_one(account.entry(link), place) for place in both)
        ]
        plan = self._plan
        inodes, replaced = set[tuple[int, int]](), set[tuple[int, int]]()
        if plan is not None:
            inodes = {node.inode for node in plan.listing.nodes.values()}
            for step in plan.steps:
                if step.seen is not None:
                    is_gone = written and step.rule is Rule.LONGER
                    (replaced if is_gone else inodes).add(step.seen.inode)
        premises = Premises(dict.fromkeys(homes), both, inodes, replaced)
        return self._findings(tenants(premises, self._how.ignored, self._how.interrupts))

    def _findings(self, found: list[Tenant]) -> list[Finding]:
        options = ("--keep-both",) if self._how.keep_both else ()
        return self.subject.busy(found, self._how.ignored, *options)

    def outcome(self, **more: Any) -> Adopted:
        """Return what is planned, or done, so far."""
        kept = None
        if self._kept is not None and self._plan is not None and self._plan.conflicts:
            kept = os.path.join(self.subject.account.home, self._kept.name)
        return Adopted(
            self.subject,
            self._plan,
            kept=kept,
            copied=self._target_copies or self.report.copied > 0,
            shared=self.is_shared,
            notes=tuple(sorted(self.report.notes)),
            **more,
        )

    def carry_out(self, *, replan: bool) -> Adopted:
        """Write what is planned. Raises Stopped, Changed, OSError, NoExchange, Interrupted."""
        subject = self.subject
        with Tree(os.path.realpath(subject.account.home)) as home:
            sweep(home, subject.link)
            if self.is_shared:
                return self.outcome()
            _create(subject.link.target)
            with Target(subject.link.target, self._mounts) as target:
                if replan or self._plan is None:
                    self._plan = self._merge(target)
                    self._stop_at_findings(self._plan)
                plan = self._plan
                self._write(plan, target, home)
                self._look_again(plan, target)
                self._keep_younger(plan, target)
                old = link_in(home, subject.link, self._root())
                self._source.path = os.path.join(subject.account.home, old)
                try:
                    self._stop_at_those_who_stayed()
                    late = self._take_what_came_late(plan, target, home)
                except BaseException:
                    self._put_back(home, old)
                    raise
                place = f"the link is in place, and the old directory is {self._source.path}"
                make_last(home, place)
                return self.outcome(old=self._source.path, late=late)

    def _write(self, plan: Plan, target: Target, home: Tree) -> None:
        files = plan.files(Rule.TAKE, Rule.LONGER, Rule.KEEP)
        self._files, self._size = len(files), sum(step.node.size for step in files)
        steps = [step for step in plan.steps if step.rule in (Rule.MAKE, Rule.TAKE, Rule.LONGER)]
        there = [step for step in plan.steps if step.rule is Rule.THERE]
        kept = _with_parents(plan)
        if kept and self._kept is not None:
            if self._kept.tree is None:
                os.mkdir(os.fsencode(self._kept.name), 0o700, dir_fd=home.directory(ROOT))
                tree = Tree(os.path.join(home.path, self._kept.name))
                self._kept = self._kept._replace(tree=tree)
            self._carry(self._kept.tree, kept, [], [])
        self._carry(target.tree, steps, there, plan.abandoned)

    def _carry(
        self, to: Tree | None, steps: list[Step], there: list[Step], abandoned: list[bytes]
    ) -> None:
        if to is None:
            return
        carrier = Carrier(self._source, to, self._seen, self._how.interrupts, self.report)
        carrier.sweep(abandoned)
        for step in there:
            carrier.remember(step)
        try:
            carrier.carry(steps)
        except BaseException:
            carrier.discard()
            raise

    def _look_again(self, plan: Plan, target: Target) -> None:
        """Stop where anything is not as it was planned, or somebody came to work there."""
        now = self._merge(target)
        if not target.is_in_place():
            raise Changed(target.path)
        if (path := plan.listing.differs(now.listing)) is not None:
            raise Changed(self._source.shown(path))
        self._stop_at_findings(now)
        if now.has_work:
            path = next(step.path for step in now.steps if step.rule in WRITES)
            raise Changed(os.path.join(target.path, os.fsdecode(path)))
        if busy := self.busy(written=True):
            raise Stopped(f"somebody came to work there; {_SAFE}\n" + "\n".join(map(str, busy)))

    def _keep_younger(self, plan: Plan, target: Target) -> None:
        """Let each file of which there were two be as young as the younger one.

        Claude Code deletes transcripts by their time: the older one would be the next to go.
        """
        if target.tree is None:
            return
        for step in plan.files(Rule.THERE, Rule.SHORTER, Rule.LONGER):
            youngest = max(step.node.mtime, step.seen.mtime if step.seen is not None else 0)
            there = target.tree.look(step.path)
            if there is None or not there.is_file or there.mtime >= youngest:
                continue
            descriptor = target.tree.open(step.path, there)
            try:
                keep_younger(descriptor, youngest, self.report.notes)
            finally:
                os.close(descriptor)

    def _stop_at_findings(self, plan: Plan) -> None:
        if plan.findings:
            words = "\n".join(map(str, plan.findings))
            raise Stopped(f"something changed meanwhile; {_SAFE}\n{words}")

    def _stop_at_those_who_stayed(self) -> None:
        """Stop where somebody came in through the old directory in the last moment.

        From the swap on nobody gets there by its name: who has nothing of it open now will write
        nothing into it after the look that follows. What is open by the target's name is of no
        concern, so paths are what counts, not inodes.
        """
        premises = Premises([], [self._source.path])
        found = tenants(premises, self._how.ignored, self._how.interrupts)
        if busy := self._findings(found):
            raise Stopped(f"somebody came to work there; {_SAFE}\n" + "\n".join(map(str, busy)))

    def _take_what_came_late(self, plan: Plan, target: Target, home: Tree) -> int:
        """Bring what was added while the link was put in its place; return how many files."""
        self._source.forget()
        if plan.listing.differs(listing(self._source, self._how.interrupts)) is None:
            return 0
        late = self._merge(target)
        self._stop_at_findings(late)
        if late.has_work:
            self._write(late, target, home)
        return len(late.files(Rule.TAKE, Rule.LONGER, Rule.KEEP))

    def _tell(self, files: int, size: int) -> None:
        self._how.tell(self.subject, files, self._files, size, self._size)

    def _put_back(self, home: Tree, old: str) -> None:
        """Let the old directory have its place again."""
        try:
            link_out(home, self.subject.link, old, self._root())
        except (OSError, Changed, NoExchange) as error:
            words = f"the link is in place, and the old directory is {self._source.path}; "
            words += "what was written there in the last moment is in it, but not in the target"
            raise NotJudged(f"{words} ({error})") from error
        make_last(home, "directory and link were swapped back")


def _is_one(entry: str, place: str) -> bool:
    """Tell whether what is written by way of *entry* is written to *place*, over any links."""
    with suppress(OSError):
        return os.path.samefile(entry, place)
    return False


def _with_parents(plan: Plan) -> list[Step]:
    """Return what is to be kept apart, with the directories that lead there, parents first."""
    kept = {step.path for step in plan.steps if step.rule is Rule.KEEP}
    for path in list(kept):
        while path := parent_of(path):
            kept.add(path)
    nodes = plan.listing.nodes
    return [Step(Rule.KEEP, path, node, None) for path, node in nodes.items() if path in kept]


def _kept(subject: Subject, source: Tree, interrupts: Interrupts) -> Kept:
    """Return where conflicts go: where an adoption that was stopped put them, or a new place.

    It is that one's where it holds nothing but other names of files that are at the same place in
    the account's directory.
    """
    home, link = subject.account.home, subject.link.name
    for name in [one.name for one in dated(os.listdir(home), link, KEPT)][-1:]:
        tree = Tree(os.path.join(os.path.realpath(home), name))
        files = [(p, n) for p, n in listing(tree, interrupts).nodes.items() if not n.is_directory]
        if all((there := source.look(p)) and there.inode == n.inode for p, n in files):
            return Kept(name, tree)
        tree.close()
    return Kept(new_dated(home, link, KEPT), None)


def _create(path: str) -> None:
    """Create the directory *path* and those above it that are missing, as ``ensure`` does."""
    missing = []
    while not os.path.lexists(path):
        missing.append(path)
        path = os.path.dirname(path)
    for path in reversed(missing):
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            continue  # somebody was faster; what it is shows when it is opened
