"""What an inventory says, as frozen objects."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Link:
    """An entry that every home must expose, and the one directory that it leads to."""

    name: str
    target: str


@dataclass(frozen=True, slots=True)
class Account:
    """A Claude Code login: its name and its home, what ``CLAUDE_CONFIG_DIR`` names."""

    name: str
    home: str

    def entry(self, link: Link) -> str:
        """Return the path at which this home must expose *link*."""
        return os.path.join(self.home, link.name)


@dataclass(frozen=True, slots=True)
class Session:
    """A process to keep running: for which account, in which directory, by which argv."""

    name: str
    account: str
    directory: str
    command: tuple[str, ...]
    pass_environment: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """The ``[launcher]`` table. ``timeout`` and ``settle`` are seconds."""

    backend: str
    state: str
    report: str
    timeout: float
    settle: float


@dataclass(frozen=True, slots=True)
class Inventory:
    """A whole, valid inventory. All paths are absolute and free of ``..``."""

    path: str
    links: tuple[Link, ...]
    accounts: tuple[Account, ...]
    sessions: tuple[Session, ...]
    settings: Settings

    def account(self, name: str) -> Account:
        """Return the account called *name*; KeyError where there is none."""
        for account in self.accounts:
            if account.name == name:
                return account
        raise KeyError(name)
