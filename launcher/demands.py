"""What an inventory demands of the VM, as one digest: a verdict counts only for these demands.

Of the inventory's text only what it means is in the digest. So a comment, the order of keys and
tables, another spelling of a path, a time limit or a place of the launcher's own files change
nothing, and neither does ``launcher switch``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from invariants.digests import hexdigest
from invariants.inventory import Inventory, Session
from invariants.own.contents import contents

_FORM = 1
"""To be raised when the digest is made of something else: older reports then no longer count."""


def digest(inventory: Inventory, own: Mapping[str, str | None]) -> str:
    """Return the digest of all that *inventory* demands, in hexadecimal.

    *own* are the files of the operator's own invariants, as
    :func:`invariants.own.contents.contents` returns them.
    """
    demands = inventory.demands
    what = {
        "form": _FORM,
        "accounts": sorted((account.name, account.home) for account in inventory.accounts),
        "links": sorted((link.name, link.target) for link in inventory.links),
        "sessions": sorted(map(_session, inventory.sessions)),
        "off": sorted(demands.off),
        "parity": demands.parity,
        "retention_days": demands.retention_days,
        "backend": inventory.settings.backend,
        "own": [sorted(inventory.settings.invariants), sorted(own.items())],
    }
    return hexdigest(json.dumps(what, sort_keys=True).encode())


def digest_now(inventory: Inventory) -> str:
    """Return the digest of what *inventory* demands now, its own invariants read from the disk.

    May hang where a file system does; the caller bounds it.
    """
    return digest(inventory, contents(inventory.settings.invariants))


def _session(session: Session) -> str:
    """Return a session as the inventory has it, wherever it has been switched to."""
    fields = session._replace(account=session.home_account, wanted=None, misplaced=None)._asdict()
    return json.dumps(fields | {"limits": sorted(session.limits)}, sort_keys=True)
