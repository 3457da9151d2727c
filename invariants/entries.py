"""An account's entry for a link, judged: nothing where it is shared, else what to do about it."""

from __future__ import annotations

import os

from invariants.finding import Finding, quoted
from invariants.links import LinkState, observe
from invariants.model import Account, Link

INVARIANT = "link_is_shared"


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
        expected=f"symlink to {link.target}",
        found=entry.found,
        fix=fix(entry.state, account.entry(link), option),
    )


def fix(state: LinkState, path: str, option: str = "") -> str:
    """Return a command line that mends the entry at *path* and destroys nothing.

    Whatever stands in the way is renamed, never removed (``mv -nT`` neither overwrites nor
    moves into a directory).
    """
    ensure = f"launcher ensure{option}"
    if state is LinkState.MISSING:
        return ensure
    if state is LinkState.EMPTY_DIRECTORY:
        return f"{quoted('rmdir', path)} && {ensure}"
    if state is LinkState.UNREADABLE:
        return quoted("namei", "-l", path)
    return f"{quoted('mv', '-nT', path, f'{path}.aside')} && {ensure}"


def leads_over_its_target(account: Account, link: Link) -> bool:
    """Tell whether the entry names the target itself, so that a chain is the target's doing.

    Then the target is a symlink, and that one cause is told by the target's own check.
    """
    try:
        named = os.path.join(account.home, os.readlink(account.entry(link)))
        return os.path.samestat(os.lstat(named), os.lstat(link.target))
    except OSError:
        return False
