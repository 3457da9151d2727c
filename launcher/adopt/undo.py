"""Back again: the old directory takes the place of the link."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from invariants.entries import judge_entry
from invariants.finding import Finding, quoted
from invariants.fixes import look, noted
from invariants.links import LinkState, observe
from launcher.adopt.busy import Premises, tenants
from launcher.adopt.names import ADOPTED, dated
from launcher.adopt.outcome import Adoption, AdoptionRefused, Stopped
from launcher.adopt.plan import Subject
from launcher.adopt.swap import NoExchange, link_out, make_last, sweep
from launcher.adopt.tree import ROOT, Changed, Node, Tree, listing
from launcher.errors import NotJudged


@dataclass(frozen=True, slots=True)
class Undone:
    """Which entry is a directory again, or would be, and under which name that directory was.

    ``common`` tells how many of its files are the target's own by another name.
    """

    subject: Subject
    old: str | None
    common: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return the entry, its target and where the directory was; null where it was back."""
        return {
            "account": self.subject.account.name,
            "link": self.subject.link.name,
            "entry": self.subject.entry,
            "target": self.subject.link.target,
            "old_directory": self.old,
            "files_in_common": self.common,
        }


def undo(subject: Subject, how: Adoption) -> Undone:
    """Swap the newest old directory of an entry back; with ``how.dry_run`` say which it is.

    The target is left as it is. An undoing that was killed after its swap is finished. Raises
    AdoptionRefused where the entry is not the link, where there is no old directory, or where
    somebody works in that home; Stopped where it fails later; NotJudged.
    """
    try:
        home = Tree(os.path.realpath(subject.account.home))
    except OSError as error:
        fix = look("namei", "-l", subject.account.home, note="what on the way cannot be read")
        words = error.strerror or str(error)
        finding = subject.finding("unreadable", "a home that can be read", words, fix)
        raise AdoptionRefused([finding]) from error
    with home:
        undone = _undo(home, subject, how)
        how.note(undone)
        return undone


def _undo(home: Tree, subject: Subject, how: Adoption) -> Undone:
    state = observe(subject.entry, subject.link.target).state
    if state is not LinkState.SHARED:
        is_directory = state in (LinkState.REAL_DIRECTORY, LinkState.EMPTY_DIRECTORY)
        if is_directory and not how.dry_run and sweep(home, subject.link):
            return Undone(subject, None, _common(subject.entry, subject, how))
        finding = judge_entry(subject.account, subject.link, subject.option)
        if finding is not None and is_directory:
            fix = noted(finding.fix, "nothing is left to undo: this adopts it")
            finding = finding._replace(fix=fix)
        raise AdoptionRefused([finding] if finding is not None else [])
    found = _newest(home, subject)
    if found is None:
        expected = f"{subject.entry}.{ADOPTED}-DATE, the directory that was adopted"
        note = "nothing to go back to: it was removed since, or the link never was a directory"
        fix = look("ls", "-la", subject.account.home, note=note)
        raise AdoptionRefused([subject.finding("no-old-directory", expected, "none", fix)])
    old, node = found
    place = os.path.join(subject.account.home, old)
    premises = Premises([subject.account.home], [place])
    busy = _busy(subject, premises, how)
    if busy:
        raise AdoptionRefused(busy)
    common = _common(place, subject, how)
    if not how.dry_run:
        try:
            link_out(home, subject.link, old, node)
        except NoExchange as error:
            by_hand = f"{quoted('unlink', subject.entry)} && "
            by_hand += quoted("mv", "-nT", place, subject.entry)
            raise Stopped(f"{error}; by hand: {by_hand}") from error
        except (Changed, OSError) as error:
            raise Stopped(f"not undone, all is as it was: {error}") from error
        make_last(home, f"{place} is in the link's place again")
    return Undone(subject, place, common)


def _common(place: str, subject: Subject, how: Adoption) -> int:
    """Count the files of the directory *place* that are at the same place in the target."""
    try:
        with Tree(place) as old, Tree(subject.link.target) as target:
            if Node.of(os.stat(place)).dev != Node.of(os.stat(subject.link.target)).dev:
                return 0
            nodes = listing(old, how.interrupts).nodes.items()
            files = [(path, node) for path, node in nodes if node.is_file and node.nlink > 1]
            seen = [(target.look(path), node) for path, node in files]
    except OSError:  # no target, say: then there is nothing in common with it
        return 0
    return sum(there is not None and there.inode == node.inode for there, node in seen)


def _newest(home: Tree, subject: Subject) -> tuple[str, Node] | None:
    try:
        names = os.listdir(home.directory(ROOT))
        for one in reversed(dated(names, subject.link.name, ADOPTED)):
            node = home.look(os.fsencode(one.name))
            if node is not None and node.is_directory:
                return one.name, node
    except OSError as error:
        raise NotJudged(f"{subject.account.home} cannot be read: {error.strerror}") from error
    return None


def _busy(subject: Subject, premises: Premises, how: Adoption) -> list[Finding]:
    found = tenants(premises, how.ignored, how.interrupts)
    return subject.busy(found, how.ignored, "--undo")
