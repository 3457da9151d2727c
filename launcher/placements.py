"""Where sessions have been switched to: kept in the state directory, over every reboot.

The inventory says whose a session is; a placement says that ``launcher switch`` moved it. It is
written between the proof that the old process is dead and the start of the new one: whoever comes
after a launcher that was killed in between starts the session where the record says, once.
A record that cannot be read, or names an account that is gone, is no reason to take the session
for at home: it is told, and nothing is started for it.
"""

from __future__ import annotations

import os

from invariants.model import Inventory, Session
from launcher import records
from launcher.errors import NotJudged

KIND = "placements"


def placed(inventory: Inventory) -> Inventory:
    """Return *inventory* with every session where it has been switched to.

    Such a session's ``wanted`` is the account that the file names. Where it cannot be known, its
    ``misplaced`` says why. What an earlier call found does not count: it is looked up anew.
    """
    sessions = tuple(
        _placed(_under(session, session.home_account), inventory) for session in inventory.sessions
    )
    return inventory._replace(sessions=sessions)


def moved(inventory: Inventory, name: str, account: str) -> Inventory:
    """Return *inventory* with the session *name* under *account*, as its placement will say."""
    sessions = tuple(
        _under(session, account) if session.name == name else session
        for session in inventory.sessions
    )
    return inventory._replace(sessions=sessions)


def place(inventory: Inventory, session: Session, account: str) -> None:
    """Note durably that *session* is *account*'s from now on. Raises OSError: nothing changed.

    Back at the inventory's account there is no record.
    """
    state = inventory.settings.state
    if account == session.home_account:
        records.remove(state, KIND, session.name)
    else:
        record = {"account": account, "inventory": inventory.path}
        records.write(state, KIND, session.name, record)


def _under(session: Session, account: str) -> Session:
    home = session.home_account
    wanted = None if account == home else home
    return session._replace(account=account, wanted=wanted, misplaced=None)


def _placed(session: Session, inventory: Inventory) -> Session:
    fix = f"launcher switch {session.name} --home"
    try:
        record = records.read(inventory.settings.state, KIND, session.name)
    except NotJudged as error:
        why = f"where it was switched to is not known: {error}; this returns it: {fix}"
        return session._replace(misplaced=why)
    if record is None or _is_of_another(record.get("inventory"), inventory.path):
        return session
    account = record.get("account")
    if account not in {known.name for known in inventory.accounts}:
        why = f"it was switched to {account}, which the inventory does not have: {fix}"
        return session._replace(misplaced=why)
    return _under(session, str(account))


def _is_of_another(path: object, inventory: str) -> bool:
    """Tell whether a record is of another inventory. One that is gone was moved: it is this one."""
    if path == inventory or not isinstance(path, str) or not os.path.exists(path):
        return False
    return not os.path.samefile(path, inventory)
