"""Whether an account's home is a directory that its links can be trusted in."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from invariants.access import other_writers, user_name
from invariants.finding import Finding, quoted
from invariants.model import Account

INVARIANT = "home_is_usable"


@dataclass(frozen=True, slots=True)
class HomeFault:
    """Why a home is not usable; ``hides_entries`` where that leaves no entry to be judged."""

    finding: Finding
    hides_entries: bool


class Homes:
    """Judges homes, each once: what the home's own check says is what its links' checks rely on."""

    def __init__(self, option: str = "") -> None:
        """Take *option*, what a pasted ``launcher`` command needs to reach the same inventory."""
        self._option = option
        self._faults: dict[str, HomeFault | None] = {}
        self._owners: dict[tuple[int, int], str] = {}

    def fault(self, account: Account) -> HomeFault | None:
        """Return what is wrong with the home of *account*, or None."""
        if account.name not in self._faults:
            self._faults[account.name] = self._judge(account)
        return self._faults[account.name]

    def _judge(self, account: Account) -> HomeFault | None:
        home = account.home

        def fault(state: str, found: str, fix: str, *, hides: bool = False) -> HomeFault:
            expected = f"{home}, a directory of {user_name(os.geteuid())}'s own"
            finding = Finding(
                invariant=INVARIANT,
                account=account.name,
                state=state,
                expected=expected,
                found=found,
                fix=fix,
            )
            return HomeFault(finding, hides)

        try:
            status = os.stat(home)
        except (FileNotFoundError, NotADirectoryError):
            fix = f"launcher ensure --create-homes {account.name}{self._option}"
            if os.path.islink(home):
                found = f"a symlink to {os.readlink(home)}, which does not exist"
                return fault("missing", found, quoted("ls", "-ld", home), hides=True)
            return fault("missing", "nothing", fix, hides=True)
        except OSError as error:
            found = f"unreadable: {error.strerror}"
            return fault("unreadable", found, quoted("ls", "-ld", home), hides=True)
        if not stat.S_ISDIR(status.st_mode):
            fix = quoted("mv", "-nT", home, f"{home}.before-home")
            return fault("not-a-directory", "not a directory", fix, hides=True)
        if status.st_uid != os.geteuid():
            owner = user_name(status.st_uid)
            fix = f"run the launcher as {owner}, or name a home of {user_name(os.geteuid())}'s"
            hides = not os.access(home, os.X_OK, effective_ids=True)
            return fault("not-yours", f"it belongs to {owner}", fix, hides=hides)
        if not os.access(home, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
            if os.statvfs(home).f_flag & os.ST_RDONLY:
                fix = f"mount it writable: {quoted('findmnt', '-T', home)}"
                return fault("read-only", "on a read-only file system", fix)
            hides = not os.access(home, os.X_OK, effective_ids=True)
            found = f"mode {stat.S_IMODE(status.st_mode):04o}"
            return fault("no-access", found, quoted("chmod", "u+rwx", home), hides=hides)
        if writers := other_writers(status):
            found = f"{writers} can write it (mode {stat.S_IMODE(status.st_mode):04o})"
            return fault("writable-by-others", found, quoted("chmod", "go-w", home))
        key = (status.st_dev, status.st_ino)
        other = self._owners.setdefault(key, account.name)
        if other != account.name:
            found = f"the same directory as the home of {other}"
            return fault("same-home", found, f"give {account.name} a home of its own")
        return None
