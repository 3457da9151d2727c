"""What an inventory says, as frozen objects."""

import os
from collections.abc import Mapping
from typing import NamedTuple


class Link(NamedTuple):
    """An entry that every home must expose, and the one directory that it leads to."""

    name: str
    target: str


class Account(NamedTuple):
    """A Claude Code login: its name and its home, what ``CLAUDE_CONFIG_DIR`` names."""

    name: str
    home: str

    def entry(self, link: Link) -> str:
        """Return the path at which this home must expose *link*."""
        return os.path.join(self.home, link.name)


class Session(NamedTuple):
    """A process to keep running: for which account, in which directory, by which argv.

    ``restart`` is ``no`` or ``on-failure``; ``limits`` are properties of a unit of systemd's.
    ``failover`` names the accounts that it may be moved to; None stands for all.
    ``conversation`` is ``auto``, ``off``, or the id of the one that it always resumes;
    ``agent_view`` lets Claude Code hand it over to background sessions. ``account``
    is whose it is now; where it was switched away from the inventory's account, ``wanted`` is
    that one. ``misplaced`` says why it is not known where it was switched to.
    """

    name: str
    account: str
    directory: str
    command: tuple[str, ...]
    pass_environment: tuple[str, ...] = ()
    restart: str = "no"
    limits: tuple[tuple[str, str], ...] = ()
    failover: tuple[str, ...] | None = None
    conversation: str = "auto"
    wanted: str | None = None
    misplaced: str | None = None
    agent_view: bool = False

    @property
    def home_account(self) -> str:
        """The account that the inventory names."""
        return self.wanted or self.account

    def may_run_under(self, account: str) -> bool:
        """Tell whether this session may run under the account of that name: its own may always.

        >>> Session("api", "primary", "/src", ("claude",), failover=()).may_run_under("backup")
        False
        """
        its_own = account in (self.account, self.wanted)
        return its_own or self.failover is None or account in self.failover


class Settings(NamedTuple):
    """The ``[launcher]`` table. ``timeout`` and ``settle`` are seconds.

    ``invariants`` are the directories of the operator's own (:mod:`invariants.own`).
    ``prometheus`` is where metrics are written with every verdict, or None. ``memory_rules`` tells
    whether sessions are given :mod:`invariants.memory_rules`.
    """

    backend: str
    state: str
    report: str
    timeout: float
    settle: float
    invariants: tuple[str, ...] = ()
    prometheus: str | None = None
    memory_rules: bool = True


class Watch(NamedTuple):
    """The ``[watch]`` table. ``interval``, ``debounce``: seconds. ``on_change``: an argv."""

    interval: float = 60.0
    debounce: float = 0.01
    on_change: tuple[str, ...] = ()


class Demands(NamedTuple):
    """What the inventory asks of the invariants beside what always holds.

    ``off`` are the families that are switched off, each with the reason; ``parity`` tells
    whether the homes' hooks and permissions must be equal; ``retention_days`` is how long
    transcripts must live at least, None for no more than that all homes agree.
    """

    off: Mapping[str, str] = {}
    parity: bool = False
    retention_days: int | None = None


class Inventory(NamedTuple):
    """A whole, valid inventory. All paths are absolute and free of ``..``."""

    path: str
    links: tuple[Link, ...]
    accounts: tuple[Account, ...]
    sessions: tuple[Session, ...]
    settings: Settings
    watch: Watch = Watch()
    demands: Demands = Demands()

    def account(self, name: str) -> Account:
        """Return the account called *name*; KeyError where there is none."""
        for account in self.accounts:
            if account.name == name:
                return account
        raise KeyError(name)

    def accounts_for(self, session: Session) -> tuple[Account, ...]:
        """Return the accounts that *session* may run under, its own first, then the inventory's."""
        own = self.account(session.account)
        others = (one for one in self.accounts if one is not own)
        return (own, *(one for one in others if session.may_run_under(one.name)))
