"""All processes of one run of a session: found by its leader and by the mark they carry, and ended.

A record can be lost (a state directory that was changed, a tmux server whose socket somebody
removed from /tmp), and a leader can die while what it started goes on writing. So each session's
program finds a mark in its environment, which all that it starts inherits: whoever carries it
runs, whatever the records say.
"""

import os
import re
import signal
from collections.abc import Iterable
from contextlib import suppress
from time import monotonic
from typing import NamedTuple, Self

from launcher.interrupts import Interrupts
from launcher.processes import Process, Table

VARIABLE = "CLAUDE_FAILOVER_SESSION"
"""Names the mark in a session's environment: ``PID:SESSION:ACCOUNT:INVENTORY``."""

GRACE = 5.0
"""Seconds between the polite signal and the sure one."""

_NAME = "[A-Za-z0-9][A-Za-z0-9_-]{0,199}"
_MARK = re.compile(rf"(\d{{1,10}}):({_NAME}):({_NAME}):(/.*)", re.ASCII)
_PAUSE = 0.02
_SURE = 2.0


class Mark(NamedTuple):
    """What the mark says: the leader's pid, the session and account, the inventory's path."""

    leader: int
    name: str
    account: str
    inventory: str

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the mark that *text* holds, or None: anybody can put anything there.

        >>> Mark.parse("12:api:primary:/etc/a:b.toml")
        Mark(leader=12, name='api', account='primary', inventory='/etc/a:b.toml')
        >>> Mark.parse("12:api") is None
        True
        """
        match = _MARK.fullmatch(text)
        if match is None or not text.isprintable():
            return None
        return cls(int(match[1]), match[2], match[3], match[4])


def look() -> Table:
    """Return all processes as they are now, with the environments of those that carry a mark."""
    return Table(VARIABLE)


class Group(NamedTuple):
    """One run of the session *name*: what *leader* leads, and what carries its mark.

    A run that is *over* was one of an earlier boot: nothing of it is left.
    """

    name: str
    leader: Process
    over: bool = False

    def members(self, table: Table, *, led: bool = False) -> list[Process]:
        """Return what of it runs for sure, the leader included.

        Of what only shares the leader's session this is sure while the leader is seen alive, or
        where the caller has *led* it since without a gap.
        """
        if self.over:
            return []
        marked = [
            process
            for process, environment in table.environments.items()
            if (mark := Mark.parse(environment.get(VARIABLE, "")))
            and (mark.leader, mark.name) == (self.leader.pid, self.name)
        ]
        if led or self.leader in table:
            marked += table.in_session(self.leader)
        return list(dict.fromkeys(marked))

    def suspects(self, table: Table) -> list[Process]:
        """Return what may be of it: its leader has died, and this has the id of its session."""
        if self.over or self.leader in table:
            return []
        certain = self.members(table)
        return [one for one in table.in_session(self.leader) if one not in certain]


def end(groups: Iterable[Group], interrupts: Interrupts, grace: float = GRACE) -> list[Group]:
    """End all processes of *groups* that are surely theirs, all at once; return what is left.

    SIGTERM to every process; after *grace* seconds SIGKILL to what is left, until nothing is, or
    it is plain that it cannot end. What outlives its leader counts: it may be the one that writes.
    """
    ending = _Ending(groups)
    ending.signal(signal.SIGTERM, signal.SIGCONT)  # a stopped one cannot end politely
    until = monotonic() + grace
    while ending.left and monotonic() < until:
        interrupts.sleep(ending.pause)
        ending.look()
    until = monotonic() + _SURE
    while ending.left and monotonic() < until:
        ending.signal(signal.SIGKILL)
        interrupts.sleep(ending.pause)
        ending.look()
    return list(ending.left)


class _Ending:
    """What is left of groups that are being ended."""

    def __init__(self, groups: Iterable[Group]) -> None:
        self._groups, self._led = list(groups), set[Group]()
        self.left: dict[Group, list[Process]] = {}
        self.look()

    def look(self) -> None:
        """Look again. A session that was seen with its leader is known while it is not empty."""
        before = monotonic()
        self._table = look()
        self._led |= {group for group in self._groups if group.leader in self._table}
        found = {
            group: group.members(self._table, led=group in self._led) for group in self._groups
        }
        self._led &= {group for group in self._groups if self._table.in_session(group.leader)}
        self.left = {group: members for group, members in found.items() if members}
        self.pause = max(_PAUSE, monotonic() - before)  # /proc may be long

    def signal(self, *numbers: signal.Signals) -> None:
        """Send signals to all that is left.

        The leader's process group gets each at once: a shell that sees its child killed first
        would start the next command.
        """
        for group, members in self.left.items():
            for number in numbers:
                leads = group.leader in members and os.getpgrp() != group.leader.pid
                with suppress(ProcessLookupError, PermissionError):
                    if leads:
                        os.killpg(group.leader.pid, number)
                for process in members:
                    if not (leads and self._table.group(process) == group.leader.pid):
                        with suppress(ProcessLookupError, PermissionError):
                            os.kill(process.pid, number)
