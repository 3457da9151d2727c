"""All homes, targets and entries judged at once, without pytest: for a second look."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from invariants.entries import judge_entry, leads_over_its_target
from invariants.finding import Finding
from invariants.homes import Homes
from invariants.model import Account, Link
from invariants.places import Places
from invariants.targets import Targets


def judge_all(
    accounts: Iterable[Account], links: Iterable[Link], places: Places, option: str = ""
) -> Iterator[Finding]:
    """Yield what is wrong with *accounts*, with *links*' targets, and with each entry.

    What one cause explains is told once, as the invariants' tests tell it. *places* are those of
    the whole inventory; *option* is what a pasted ``launcher`` command needs to reach it.

    The other families are not looked at again: these are what a session writes through from its
    first moment, and where that went wrong nobody would see it. A question that nobody answers is
    seen, retention works over days, a login that two homes have loses nothing, and whether a
    conversation is live elsewhere is asked by whoever resumes it, under its lock.
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
