"""Whether an account's home is a directory that its links can be trusted in."""

import os
import stat
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from invariants.access import DATABASES, other_writers, user_name
from invariants.finding import Finding, quoted
from invariants.fixes import given_back, look, set_aside, to_get_access
from invariants.inputs import Input
from invariants.links import is_nosymfollow
from invariants.model import Account, Inventory
from invariants.places import Places, home_of

INVARIANT = "home_is_usable"


def inputs(inventory: Inventory, environ: Mapping[str, str]) -> Iterator[Input]:
    """Yield what is read to judge the homes: each home, and who can write to it."""
    for account in inventory.accounts:
        yield Input(account.home)
    for path in DATABASES:
        yield Input(path, content=True)


class HomeFault(NamedTuple):
    """Why a home is not usable; ``hides_entries`` where that leaves no entry to be judged."""

    finding: Finding
    hides_entries: bool


class Homes:
    """Judges homes, each once: what the home's own check says is what its links' checks rely on.

    A home that is another home or a target, or lies in one or around one, is told by whichever
    of the two comes later (see :class:`~invariants.places.Places`).
    """

    def __init__(self, option: str = "", places: Places | None = None) -> None:
        """Take *option*, what a pasted ``launcher`` command needs to reach the same inventory.

        *places* are all homes and targets of the inventory; without them each home is compared
        with those judged before it.
        """
        self._option = option
        self._places = Places() if places is None else places
        self._faults: dict[str, HomeFault | None] = {}

    def fault(self, account: Account) -> HomeFault | None:
        """Return what is wrong with the home of *account*, or None."""
        if account.name not in self._faults:
            self._faults[account.name] = self._judge(account)
        return self._faults[account.name]

    def _judge(self, account: Account) -> HomeFault | None:
        home = account.home
        try:
            status = os.stat(home)
        except (FileNotFoundError, NotADirectoryError):
            return self._clash(account, hides=True) or self._missing(account)
        except OSError as error:
            return _unreadable(account, f"unreadable: {error.strerror}")
        if not stat.S_ISDIR(status.st_mode):
            fix = f"{set_aside(home, 'before-home')} && {self._create(account)}"
            return _fault(account, "not-a-directory", "not a directory", fix, hides=True)
        hides = not os.access(home, os.X_OK, effective_ids=True)
        if status.st_uid != os.geteuid():
            owner = user_name(status.st_uid)
            fix = given_back(home, status.st_uid)
            return _fault(account, "not-yours", f"it belongs to {owner}", fix, hides=hides)
        if not os.access(home, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
            if os.statvfs(home).f_flag & os.ST_RDONLY:
                fix = look("findmnt", "-T", home, note="what must be mounted writable")
                return _fault(account, "read-only", "on a read-only file system", fix)
            found, fix = to_get_access(home, status)
            return _fault(account, "no-access", found, fix, hides=hides)
        try:
            writers = other_writers(status, home)
        except OSError as error:
            return _unreadable(account, f"unreadable: {error.strerror}")
        if writers:
            found = f"{writers} can write it (mode {stat.S_IMODE(status.st_mode):04o})"
            return _fault(account, "writable-by-others", found, quoted("chmod", "go-w", home))
        return self._clash(account) or self._not_followed(account)

    def _not_followed(self, account: Account) -> HomeFault | None:
        """Tell once what is wrong with all links of a home: they are right, and lead nowhere."""
        try:
            if not is_nosymfollow(account.home):
                return None
        except OSError as error:
            return _unreadable(account, f"unreadable: {error.strerror}")
        found = "on a file system mounted nosymfollow: the kernel follows no link in it"
        fix = look("findmnt", "-T", account.home, note="what must be mounted without nosymfollow")
        return _fault(account, "nosymfollow", found, fix, hides=True)

    def _missing(self, account: Account) -> HomeFault:
        home = account.home
        if os.path.islink(home):
            found = f"a symlink to {os.readlink(home)}, which does not exist"
            fix = look("ls", "-ld", home, note="correct the link, or create what it leads to")
            return _fault(account, "missing", found, fix, hides=True)
        return _fault(account, "missing", "nothing", self._create(account), hides=True)

    def _create(self, account: Account) -> str:
        return f"launcher ensure --create-homes {account.name}{self._option}"

    def _clash(self, account: Account, *, hides: bool = False) -> HomeFault | None:
        clash = self._places.clash(home_of(account))
        if clash is None:
            return None
        if clash.state == "unreadable":
            return _unreadable(account, clash.found)
        note = f"give {account.name} a home of its own in the inventory"
        fix = look("ls", "-ldi", account.home, clash.other, note=note)
        return _fault(account, clash.state, clash.found, fix, hides=hides)


def _unreadable(account: Account, found: str) -> HomeFault:
    fix = look("namei", "-l", account.home, note="what on the way cannot be read")
    return _fault(account, "unreadable", found, fix, hides=True)


def _fault(account: Account, state: str, found: str, fix: str, *, hides: bool = False) -> HomeFault:
    finding = Finding(
        invariant=INVARIANT,
        account=account.name,
        state=state,
        expected=f"{account.home}, a directory of {user_name(os.geteuid())}'s own",
        found=found,
        fix=fix,
    )
    return HomeFault(finding, hides)
