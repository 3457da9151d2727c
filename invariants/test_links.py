"""Links: account × link, what the failover stands on."""

from __future__ import annotations

from invariants.entries import judge_entry, leads_over_its_target
from invariants.homes import Homes
from invariants.links import LinkState
from invariants.model import Account, Link
from invariants.plugin import Broken, Judged
from invariants.targets import Targets


def test_link_is_shared(
    account: Account, link: Link, homes: Homes, targets: Targets, judged: Judged, option: str
) -> None:
    """Every home reaches the one shared directory, or a conversation is lost at a failover.

    Why: Claude Code says nothing about a broken link; it makes a directory of its own, or keeps
    nothing at all.
    Source: measured with three versions, docs/broken-links.md; upstream report #78162 for chains.
    To do: `launcher ensure` for a missing link, `launcher adopt` for a real directory; what else
    stands in the way is moved aside by the fix.
    """
    fault = homes.fault(account)
    if fault is not None and fault.hides_entries:
        if account.name in judged.homes:
            return  # one cause, one failure: the home's own check tells of this very fault
        raise Broken(fault.finding)
    finding = judge_entry(account, link, option)
    if finding is None:
        return
    if (
        finding.state == LinkState.CHAINED
        and link.name in judged.targets
        and targets.fault(link) is not None
        and leads_over_its_target(account, link)
    ):
        return  # likewise: the target is a symlink, and its own check tells so
    raise Broken(finding)
