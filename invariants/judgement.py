"""All that sessions write through judged at once, without pytest: for a second look."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from invariants.entries import judge_entry, leads_over_its_target
from invariants.finding import Finding
from invariants.folders import judge_folders
from invariants.homes import Homes
from invariants.model import Account, Inventory, Link, Session
from invariants.places import Places
from invariants.programs import keeps_turns
from invariants.sessions import judge_directory
from invariants.targets import Targets


def judge_all(
    accounts: Iterable[Account], links: Iterable[Link], places: Places, option: str = ""
) -> Iterator[Finding]:
    """Yield what is wrong with *accounts*, with *links*' targets, and with each entry.

    What one cause explains is told once, as the invariants' tests tell it. *places* are those of
    the whole inventory; *option* is what a pasted ``launcher`` command needs to reach it.

    With :func:`judge_sessions` that is what a session writes through from its first moment; if it
    went wrong, nobody would see it. The other families are not looked at again: a question that
    nobody answers is seen, retention works over days, a login that two homes have loses nothing,
    and whoever resumes a conversation asks, under its lock, whether it is live elsewhere.
    """
    links, homes, targets = list(links), Homes(option, places), Targets(option, places)
    for link in links:
        if (broken := targets.fault(link)) is not None:
            yield broken
    for account in accounts:
        fault = homes.fault(account)
        if fault is not None:
            yield fault.finding
            if fault.hides_entries:
                continue
        for link in links:
            finding = judge_entry(account, link, option)
            if finding is None:
                continue
            if targets.fault(link) is None or not leads_over_its_target(account, link):
                yield finding


def judge_sessions(
    sessions: Iterable[Session], inventory: Inventory, broken: Collection[str]
) -> Iterator[Finding]:
    """Yield what is wrong with the directories of *sessions*, and with what is kept of them.

    *broken* are the links whose target is at fault. What one cause explains is told once.
    """
    told: set[tuple[str | None, str]] = set()
    for session in sessions:
        if (missing := judge_directory(session)) is not None:
            yield missing
        kept = judge_folders(session, inventory, broken) if keeps_turns(session) else None
        if kept is not None and (kept.account, kept.found) not in told:
            told.add((kept.account, kept.found))
            yield kept
