"""Adoptions, one or many: planned all together, then carried out one by one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from invariants.entries import judge_entry
from invariants.finding import Finding
from invariants.fixes import look
from invariants.homes import Homes
from invariants.links import LinkState
from invariants.targets import Targets
from launcher.adopt.compare import Comparison
from launcher.adopt.memories import diffs
from launcher.adopt.outcome import Adopted, Adoption, AdoptionRefused, Stopped
from launcher.adopt.plan import Conflict, Subject
from launcher.adopt.system import mounts
from launcher.adopt.target import Target
from launcher.adopt.tree import Tree
from launcher.adopt.work import Work, stopping


def adopt(subjects: Sequence[Subject], how: Adoption) -> list[Adopted]:
    """Adopt the entries of *subjects*; with ``how.dry_run`` say what would be done.

    Returns the outcomes, each of which ``how.note`` has had as soon as it was there.
    Raises AdoptionRefused, with all that stands in the way of any of them, before anything is
    written; Stopped where something changes or fails later; Interrupted with how far it came;
    NotJudged where it cannot be told whether anybody is at work.
    """
    with ExitStack() as stack:
        works = _planned(subjects, how, stack)
        done: list[Adopted] = []
        written: set[str] = set()
        for work in works:
            replan = work.subject.link.target in written
            try:
                with stopping(work):
                    outcome = work.outcome() if how.dry_run else work.carry_out(replan=replan)
            except Stopped as error:
                raise Stopped(f"{work.place}: {error}") from error
            done.append(outcome)
            how.note(outcome)
            written.add(work.subject.link.target)
        return done


def _planned(subjects: Sequence[Subject], how: Adoption, stack: ExitStack) -> list[Work]:
    findings: list[Finding] = []
    conflicts: list[Conflict] = []
    works: list[Work] = []
    mounted, seen = mounts(), Comparison(how.interrupts)
    targets: dict[str, Target] = {}
    homes, judged = Homes(how.option), Targets(how.option)
    for subject in subjects:
        if found := _unfit(subject, homes, judged):
            findings += [finding for finding in found if finding not in findings]
            continue
        work = Work(subject, how, seen, mounted)
        works.append(work)
        if work.is_shared:
            continue
        try:
            source = stack.enter_context(Tree(subject.entry))
            if subject.link.target not in targets:
                target = Target(subject.link.target, mounted)
                targets[subject.link.target] = stack.enter_context(target)
            with stopping(work):
                work.plan(source, targets[subject.link.target])
        except OSError as error:
            fix = look("namei", "-l", subject.entry, note="what on the way cannot be read")
            words = error.strerror or str(error)
            findings.append(subject.finding("unreadable", "what can be read", words, fix))
            continue
        source.forget()
        findings += work.findings + work.busy()
        conflicts += work.conflicts
    if findings:
        raise AdoptionRefused(findings, diffs(conflicts))
    return works


def _unfit(subject: Subject, homes: Homes, targets: Targets) -> list[Finding]:
    """Return what is wrong with the home, the target and the entry, where that is no directory."""
    found = []
    if (fault := homes.fault(subject.account)) is not None:
        found.append(fault.finding)
        if fault.hides_entries:
            return found
    finding = targets.fault(subject.link)
    if finding is not None and finding.state != "missing":
        found.append(finding)
    finding = judge_entry(subject.account, subject.link, subject.option)
    if finding is None or finding.state in (LinkState.REAL_DIRECTORY, LinkState.EMPTY_DIRECTORY):
        return found
    return [*found, finding]
