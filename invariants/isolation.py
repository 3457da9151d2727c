"""Whether the files of a login are each home's own, and nobody else's to read or to write."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from invariants.access import DATABASES, other_writers, user_name
from invariants.client import CREDENTIALS, STATE
from invariants.documents import DANGLING, NO_FILE
from invariants.finding import Finding, quoted
from invariants.fixes import copied_apart, given_back, is_nobodys, look, noted, set_aside
from invariants.inputs import Input, Part
from invariants.model import Account, Inventory

if TYPE_CHECKING:
    from invariants.judges import Judges

INVARIANT = "login_is_isolated"
OWN_FILES = (CREDENTIALS, STATE)
"""What must not be shared: links there log everyone out (upstream reports #56339, #76561)."""

_Id = tuple[int, int]


def inputs(inventory: Inventory, environ: Mapping[str, str]) -> Iterator[Input]:
    """Yield what is read to judge the files of logins: no content, only what each file is."""
    for account in inventory.accounts:
        for name in OWN_FILES:
            value = partial(_judged, account, name)
            part = Part(f"{account.name} {name}", value, "kind, owner, mode and number of names")
            yield Input(os.path.join(account.home, name), part)
    for path in DATABASES:
        yield Input(path, content=True)


def _judged(account: Account, name: str, judges: Judges) -> object:
    return judges.isolation.judge(account, name)


class Isolation:
    """Judges the files of logins by their status alone, each once: none is opened.

    Of two accounts that have one file the later one tells.
    """

    def __init__(self, accounts: Iterable[Account]) -> None:
        """Take all accounts of the inventory."""
        self._accounts = list(accounts)
        self._known: dict[str, dict[_Id, list[Account]]] = {}
        self._findings: dict[str, Finding | None] = {}

    def judge(self, account: Account, name: str) -> Finding | None:
        """Return what is wrong with the file *name* of *account*'s home, or None.

        A file that is not there is right: the account is not logged in, or never was used.
        """
        path = os.path.join(account.home, name)
        if path not in self._findings:
            self._findings[path] = self._judge(account, path)
        return self._findings[path]

    def _judge(self, account: Account, path: str) -> Finding | None:
        try:
            status = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            fix = look("namei", "-l", path, note="what on the way cannot be read")
            return _fault(account, path, "unreadable", f"is unreadable: {error.strerror}", fix)
        if not stat.S_ISREG(status.st_mode):
            return _no_file(account, path, status)
        if status.st_uid != os.geteuid():
            found = f"belongs to {user_name(status.st_uid)}"
            if is_nobodys(status.st_uid):
                fix = given_back(path, status.st_uid)
            else:
                fix = noted(set_aside(path, "aside"), f"then log {account.name} in again")
            return _fault(account, path, "not-yours", found, fix)
        return self._shared(account, path, status) or _exposed(account, path, status)

    def _shared(self, account: Account, path: str, status: os.stat_result) -> Finding | None:
        """Detect a file that has a second name, in another home or elsewhere."""
        owners = self._owners(account, os.path.basename(path), status)
        if owners[0] is not account:
            state, found = "shared", f"is the very file of {owners[0].name}"
        elif status.st_nlink > len(owners):
            state, words = "hard-linked", "names: a hard link to it is elsewhere"
            found = f"has {status.st_nlink} {words}"
        else:
            return None  # before a free name is looked for
        fix = noted(copied_apart(path), f"then log {account.name} in again")
        return _fault(account, path, state, found, fix)

    def _owners(self, account: Account, name: str, status: os.stat_result) -> list[Account]:
        """Return whose file the file *name* of *account* is, in the inventory's order.

        The files are replaced all the time, and an inode that was freed may be another home's file
        by now: before a file is said to be another account's, that one's is looked at again.
        """
        owners = self._known_owners(name).get((status.st_dev, status.st_ino), [account])
        if owners == [account]:
            return owners
        return [one for one in owners if one is account or _is_now(one, name, status)] or [account]

    def _known_owners(self, name: str) -> dict[_Id, list[Account]]:
        """Return whose each of the files called *name* was at the first look."""
        if name not in self._known:
            known = self._known[name] = {}
            for account in self._accounts:
                try:
                    status = os.lstat(os.path.join(account.home, name))
                except OSError:
                    continue
                known.setdefault((status.st_dev, status.st_ino), []).append(account)
        return self._known[name]


def _is_now(account: Account, name: str, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.lstat(os.path.join(account.home, name)), status)
    except OSError:
        return False


def _no_file(account: Account, path: str, status: os.stat_result) -> Finding:
    fix = noted(set_aside(path, "aside"), f"then log {account.name} in again")
    if not stat.S_ISLNK(status.st_mode):
        what = NO_FILE.get(stat.S_IFMT(status.st_mode), "no regular file")
        return _fault(account, path, "not-a-file", f"is {what}", fix)
    found = f"is a symlink to {os.readlink(path)}" if os.path.exists(path) else DANGLING
    return _fault(account, path, "symlink", found, fix)


def _exposed(account: Account, path: str, status: os.stat_result) -> Finding | None:
    mode = f"mode {stat.S_IMODE(status.st_mode):04o}"
    if os.path.basename(path) == CREDENTIALS and status.st_mode & 0o077:
        fix = quoted("chmod", "600", path)
        return _fault(account, path, "readable-by-others", f"can be read by others ({mode})", fix)
    try:
        writers = other_writers(status, path)
    except OSError as error:
        fix = look("getfacl", path, note="why its access list cannot be read")
        return _fault(account, path, "unreadable", f"is unreadable: {error.strerror}", fix)
    if writers:
        found = f"can be written by {writers} ({mode})"
        return _fault(account, path, "writable-by-others", found, quoted("chmod", "go-w", path))
    return None


def _fault(account: Account, path: str, state: str, found: str, fix: str) -> Finding:
    return Finding(
        invariant=INVARIANT,
        account=account.name,
        state=state,
        expected=f"{path}, a file of {account.name}'s alone",
        found=f"{os.path.basename(path)} {found}",
        fix=fix,
    )
