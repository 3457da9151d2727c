"""Links: account × link, what the failover stands on."""

from __future__ import annotations

from invariants.entries import judge_entry, leads_over_its_target
from invariants.links import LinkState
from invariants.model import Account, Link
from invariants.vm import Broken, Vm


def test_link_is_shared(account: Account, link: Link, vm: Vm) -> None:
    """Every home reaches the one shared directory, or a conversation is lost at a failover.

    Why: Claude Code says nothing about a broken link; it makes a directory of its own, or keeps
    nothing at all.
    Source: measured with four versions, docs/broken-links.md. A chain is followed; but whoever
    turns its second symlink moves the account's state, and no inventory says where it has to lead.
    To do: `launcher ensure` for a missing link, `launcher adopt` for a real directory; what else
    stands in the way is moved aside by the fix.
    """
    if not vm.reachable(account):
        return  # one cause, one failure: the home's own check tells of this very fault
    finding = judge_entry(account, link, vm.option)
    if finding is None:
        return
    if (
        finding.state == LinkState.CHAINED
        and link.name in vm.judged_targets
        and vm.targets.fault(link) is not None
        and leads_over_its_target(account, link)
    ):
        return  # likewise: the target is a symlink, and its own check tells so
    raise Broken(finding)
