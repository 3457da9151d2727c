"""What the invariants look at, as paths: what the watcher has to hear of when it changes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from invariants.client import CREDENTIALS, LEGACY_STATE, SETTINGS, STATE
from invariants.folders import RECORDS, record_path, stores
from invariants.inventory import Inventory
from invariants.programs import keeps_turns


class Concern(StrEnum):
    """What a change of a path means for the watcher."""

    VM = "vm"
    INVENTORY = "inventory"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Subject:
    """A path: what it leads to, its place and its attributes; with ``content`` what it holds too.

    What lies inside a directory is not part of it: transcripts change all the time.
    """

    path: str
    concern: Concern = Concern.VM
    content: bool = False


DOCUMENTS = (STATE, LEGACY_STATE, CREDENTIALS, SETTINGS)
"""Files of a home whose content an invariant reads; whoever adds one names it here."""


def subjects(inventory: Inventory) -> Iterator[Subject]:
    """Yield all that the verdict on *inventory* depends on, the file and its report included.

    To name what is kept of a session its directory is looked at, which hangs on a dead mount: the
    caller bounds it.
    """
    for account in inventory.accounts:
        yield Subject(account.home)
        for name in DOCUMENTS:
            yield Subject(os.path.join(account.home, name), content=True)
        for link in inventory.links:
            yield Subject(account.entry(link))
    for link in inventory.links:
        yield Subject(link.target)
    for session in inventory.sessions:
        yield Subject(session.directory)
        if session.command[0].startswith("/"):
            yield Subject(session.command[0])
        if keeps_turns(session):
            record = record_path(inventory.settings.state, RECORDS, session.name)
            yield Subject(record, content=True)
            yield from (Subject(store.path) for store in stores(inventory, session))
    for directory in inventory.settings.invariants:
        yield Subject(directory)
    yield Subject(inventory.path, Concern.INVENTORY, content=True)
    yield Subject(inventory.settings.report, Concern.REPORT, content=True)
