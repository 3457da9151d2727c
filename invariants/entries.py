"""An account's entry for a link, judged: nothing where it is shared, else what to do about it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from invariants.finding import Finding, quoted
from invariants.fixes import as_root, look, noted, set_aside
from invariants.inputs import Input
from invariants.links import Entry, LinkState, observe
from invariants.model import Account, Inventory, Link

INVARIANT = "link_is_shared"


def inputs(inventory: Inventory, environ: Mapping[str, str]) -> Iterator[Input]:
    """Yield what is read to judge the entries: each entry, with where it leads, and the targets."""
    for account in inventory.accounts:
        for link in inventory.links:
            yield Input(account.entry(link))
    for link in inventory.links:
        yield Input(link.target)


def judge_entry(account: Account, link: Link, option: str = "") -> Finding | None:
    """Observe the entry of *account* for *link* and return what is wrong with it, or None.

    *option* is what a pasted ``launcher`` command needs to reach the same inventory.
    """
    entry = observe(account.entry(link), link.target)
    if entry.state is LinkState.SHARED:
        return None
    return Finding(
        invariant=INVARIANT,
        account=account.name,
        link=link.name,
        state=entry.state.value,
        expected=link.target,
        found=entry.found,
        fix=fix(entry, account, link, option),
    )


def fix(entry: Entry, account: Account, link: Link, option: str = "") -> str:
    """Return a command line that mends what *entry* is, and destroys nothing.

    A directory is adopted; whatever else stands in the way is moved aside, never removed. Where
    Claude Code may be writing to it at this moment, a comment says what must come first.
    """
    path, state, ensure = account.entry(link), entry.state, f"launcher ensure{option}"
    if state is LinkState.MISSING:
        return ensure
    if state in (LinkState.EMPTY_DIRECTORY, LinkState.REAL_DIRECTORY):
        adopt = quoted("launcher", "adopt", account.name, link.name) + option
        if entry.is_mounted:  # what it hides is empty as a rule, and adopted in any case
            note = "in a container leave the mount out of its definition instead"
            return noted(f"{as_root('umount', path)} && {adopt}", note)
        return adopt
    if not entry.is_followed:
        show = look("findmnt", "-T", account.home, note="what keeps the kernel from following it")
        return f"{quoted('namei', '-l', path)}; {show}"
    if state is LinkState.UNREADABLE:
        return look("namei", "-l", path, note="what on the way cannot be read")
    command = f"{set_aside(path, 'aside')} && {ensure}"
    if state is LinkState.FILE:
        return noted(command, f"first end every Claude Code process of {account.name}")
    return command


def leads_over_its_target(account: Account, link: Link) -> bool:
    """Tell whether the entry names the target itself, so that a chain is the target's doing.

    Then the target is a symlink, and that one cause is told by the target's own check.
    """
    try:
        named = os.path.join(account.home, os.readlink(account.entry(link)))
        return os.path.samestat(os.lstat(named), os.lstat(link.target))
    except OSError:
        return False
