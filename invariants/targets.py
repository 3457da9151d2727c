"""Whether a link's target is a directory that sessions can work in."""

from __future__ import annotations

import os
import stat

from invariants.access import user_name
from invariants.finding import Finding, quoted
from invariants.model import Link

INVARIANT = "target_is_usable"


class Targets:
    """Judges targets, each once, and notices two that are one directory."""

    def __init__(self, option: str = "") -> None:
        """Take *option*, what a pasted ``launcher`` command needs to reach the same inventory."""
        self._option = option
        self._faults: dict[str, Finding | None] = {}
        self._owners: dict[tuple[int, int], str] = {}

    def fault(self, link: Link) -> Finding | None:
        """Return what is wrong with the target of *link*, or None.

        What the running user may do is asked of the kernel (faccessat(2) with the effective
        ids), which knows of modes, ACLs and read-only mounts alike; nothing is tried out.
        """
        if link.name not in self._faults:
            self._faults[link.name] = self._judge(link)
        return self._faults[link.name]

    def _judge(self, link: Link) -> Finding | None:
        target = link.target

        def fault(state: str, found: str, fix: str) -> Finding:
            return Finding(
                invariant=INVARIANT,
                link=link.name,
                state=state,
                expected=f"{target}, a directory that {user_name(os.geteuid())} can use",
                found=found,
                fix=fix,
            )

        look = quoted("ls", "-ld", target)
        try:
            status = os.lstat(target)
            if stat.S_ISLNK(status.st_mode):
                # Claude Code resolves one hop only (field notes, upstream report #78162): a
                # link to this target would be a chain in every home, with one cause, here.
                text = os.readlink(target)
                fix = f"name what it leads to in the inventory: [shared.targets] {link.name} = …"
                return fault("symlink", f"a symlink to {text}", fix)
        except (FileNotFoundError, NotADirectoryError):
            return fault("missing", "nothing", f"launcher ensure{self._option}")
        except OSError as error:
            return fault("unreadable", f"unreadable: {error.strerror}", look)
        if not stat.S_ISDIR(status.st_mode):
            fix = quoted("mv", "-nT", target, f"{target}.before-target")
            return fault("not-a-directory", "not a directory", fix)
        try:
            read_only = os.statvfs(target).f_flag & os.ST_RDONLY
        except OSError as error:
            return fault("unreadable", f"unreadable: {error.strerror}", look)
        if read_only:
            fix = f"mount it writable: {quoted('findmnt', '-T', target)}"
            return fault("read-only", "on a read-only file system", fix)
        if not os.access(target, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
            found = f"of {user_name(status.st_uid)}, mode {stat.S_IMODE(status.st_mode):04o}"
            return fault("no-access", found, quoted("chmod", "u+rwx", target))
        other = self._owners.setdefault((status.st_dev, status.st_ino), link.name)
        if other != link.name:
            fix = f"give {link.name} a target of its own in the inventory"
            return fault("same-target", f"the same directory as the target of {other}", fix)
        return None
