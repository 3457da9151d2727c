"""Whether a link's target is a directory that sessions can work in."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from invariants.access import user_name
from invariants.finding import Finding, quoted
from invariants.fixes import as_root, look, set_aside, to_get_access
from invariants.inputs import Input
from invariants.model import Inventory, Link
from invariants.mounts import FSTAB, unmounted
from invariants.places import Places, target_of
from invariants.program import around_or_inside
from invariants.vanished import STATE as VANISHED
from invariants.vanished import evidence

if TYPE_CHECKING:
    from invariants.warning import Warned

INVARIANT = "target_is_usable"


def inputs(inventory: Inventory, environ: Mapping[str, str]) -> Iterator[Input]:
    """Yield what is read to judge the targets: each, and the homes, of which none may hold it."""
    for link in inventory.links:
        yield Input(link.target)
    for account in inventory.accounts:
        yield Input(account.home)
    yield Input(FSTAB, content=True)


class Targets:
    """Judges targets, each once.

    A target that is a home or another target, or lies in one or around one, is told by
    whichever of the two comes later (see :class:`~invariants.places.Places`).
    """

    def __init__(self, option: str = "", places: Places | None = None) -> None:
        """Take *option*, what a pasted ``launcher`` command needs to reach the same inventory.

        *places* are all homes and targets of the inventory; without them each target is compared
        with those judged before it.
        """
        self._option = option
        self._places = Places() if places is None else places
        self._faults: dict[str, Finding | None] = {}

    def fault(self, link: Link) -> Finding | None:
        """Return what is wrong with the target of *link*, or None.

        What the running user may do is asked of the kernel (faccessat(2) with the effective
        ids), which knows of modes, ACLs and read-only mounts alike; nothing is tried out.
        """
        if link.name not in self._faults:
            self._faults[link.name] = self._judge(link)
        return self._faults[link.name]

    @staticmethod
    def warn_of_mount(link: Link, warn: Callable[[Warned], None]) -> None:
        """Warn of a target that stands where, by ``/etc/fstab``, something should be mounted."""
        point = unmounted(link.target)
        if point is None:
            return
        from invariants.warning import Warned  # no check needs it where all is right

        found = f"{point} is a mount point by {FSTAB}, and nothing is mounted there"
        note = "what the sessions use now; what is mounted there will hide it"
        warn(Warned(INVARIANT, found, look("ls", "-la", point, note=note), link=link.name))

    def _judge(self, link: Link) -> Finding | None:
        target, ensure = link.target, f"launcher ensure{self._option}"
        try:
            status = os.lstat(target)
            if stat.S_ISLNK(status.st_mode):
                # A link to this target is a chain in every home, with one cause, here.
                text = os.readlink(target)
                note = "name what it leads to in the inventory, under [shared.targets]"
                fix = look("readlink", "-m", target, note=f"{note}, for {link.name}")
                return _fault(link, "symlink", f"a symlink to {text}", fix)
        except (FileNotFoundError, NotADirectoryError):
            return self._clash(link) or self._missing(link)
        except OSError as error:
            return _unreadable(link, f"unreadable: {error.strerror}")
        if not stat.S_ISDIR(status.st_mode):
            fix = f"{set_aside(target, 'before-target')} && {ensure}"
            return _fault(link, "not-a-directory", "not a directory", fix)
        try:
            read_only = os.statvfs(target).f_flag & os.ST_RDONLY
        except OSError as error:
            return _unreadable(link, f"unreadable: {error.strerror}")
        if read_only:
            fix = look("findmnt", "-T", target, note="what must be mounted writable")
            return _fault(link, "read-only", "on a read-only file system", fix)
        if not os.access(target, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
            return _fault(link, "no-access", *to_get_access(target, status))
        return self._clash(link)

    def _missing(self, link: Link) -> Finding:
        told = evidence(link, self._places.accounts, self._places.links)
        if told is not None:
            return self.vanished(link, told)
        return _fault(link, "missing", "nothing", f"launcher ensure{self._option}")

    @staticmethod
    def vanished(link: Link, told: str) -> Finding:
        """Return the finding about a target that was there before, as *told* says."""
        point = unmounted(link.target)
        if point is not None:
            fix = as_root("mount", point)
        else:
            anew = quoted("mkdir", "-p", "-m", "700", link.target)
            note = f"mount what held it; or, where all is to begin anew: {anew}"
            fix = look("namei", "-l", link.target, note=note)
        return _fault(link, VANISHED, f"nothing, though {told}", fix)

    def _clash(self, link: Link) -> Finding | None:
        program = around_or_inside(link.target)
        if program is not None:
            found = f"in or around {program}, where this program is installed"
            note = f"give {link.name} a directory of its own in the inventory, and move it there"
            fix = look("ls", "-ld", program, link.target, note=note)
            return _fault(link, "with-program", found, fix)
        clash = self._places.clash(target_of(link))
        if clash is None:
            return None
        if clash.state == "unreadable":
            return _unreadable(link, clash.found)
        note = f"give {link.name} a target of its own in the inventory"
        fix = look("ls", "-ldi", link.target, clash.other, note=note)
        return _fault(link, clash.state, clash.found, fix)


def _unreadable(link: Link, found: str) -> Finding:
    fix = look("namei", "-l", link.target, note="what on the way cannot be read")
    return _fault(link, "unreadable", found, fix)


def _fault(link: Link, state: str, found: str, fix: str) -> Finding:
    return Finding(
        invariant=INVARIANT,
        link=link.name,
        state=state,
        expected=f"{link.target}, a directory that {user_name(os.geteuid())} can use",
        found=found,
        fix=fix,
    )
