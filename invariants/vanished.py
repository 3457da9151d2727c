"""Whether a target that is missing was there before.

Then what holds it is most likely not mounted, and a new, empty one in its place would be a second
world: sessions would begin anew in it, and it would hide behind the mount later.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from invariants.model import Account, Link
from invariants.mounts import FSTAB, unmounted

STATE = "vanished"


def evidence(link: Link, accounts: Iterable[Account], links: Iterable[Link]) -> str | None:
    """Say why the missing target of *link* must have been there, or return None.

    ``/etc/fstab`` tells; and links of homes that lead to it or to the targets beside it, unless
    one of these is there: then what holds them all is mounted.
    """
    point = unmounted(link.target)
    if point is not None:
        return f"{point} is a mount point by {FSTAB}, and nothing is mounted there"
    beside = together(link, links)
    if beside is None:
        return None
    names = [
        account.name
        for account in accounts
        if any(_leads(account.entry(one), one.target) for one in beside)
    ]
    if not names:
        return None
    return f"links in the {'homes' if len(names) > 1 else 'home'} of {', '.join(names)} lead there"


def together(link: Link, links: Iterable[Link]) -> list[Link] | None:
    """Return the links whose targets stand in one directory with that of *link*: all missing.

    None where one of them is there.
    """
    parent = os.path.dirname(link.target)
    beside = [one for one in {link, *links} if os.path.dirname(one.target) == parent]
    return None if any(os.path.lexists(one.target) for one in beside) else beside


def _leads(entry: str, target: str) -> bool:
    return os.path.islink(entry) and os.path.realpath(entry) == os.path.realpath(target)
