"""How long each home lets the shared transcripts live: the shortest time rules all of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from invariants.client import Clients, managed_inputs, project_settings, settings_of
from invariants.documents import Unreadable
from invariants.finding import Finding
from invariants.fixes import look
from invariants.inputs import Input, Part
from invariants.model import Account, Inventory, Session
from invariants.programs import runs_claude
from invariants.readiness import unreadable

if TYPE_CHECKING:
    from invariants.judges import Judges

HOME, PROJECT = "home_keeps_transcripts", "project_keeps_transcripts"
DEFAULT_DAYS = 30


def inputs(inventory: Inventory, environ: Mapping[str, str]) -> Iterator[Input]:
    """Yield what is read to compare how long the homes keep transcripts."""
    yield from map(_setting, map(settings_of, inventory.accounts))
    yield from managed_inputs(Part("managed", _managed, "cleanupPeriodDays"))


def of_projects(inventory: Inventory, environ: Mapping[str, str]) -> Iterator[Input]:
    """Yield what is read to tell how long the sessions' projects let transcripts live."""
    yield from inputs(inventory, environ)
    for session in filter(runs_claude, inventory.sessions):
        yield from map(_setting, project_settings(session))


def _setting(path: str) -> Input:
    return Input(path, Part(path, partial(_kept, path), "cleanupPeriodDays"), content=True)


def _kept(path: str, judges: Judges) -> object:
    return judges.clients.settings(path).days


def _managed(judges: Judges) -> object:
    return [(path, judges.clients.settings(path).days) for path in judges.clients.managed()]


class _Setting(NamedTuple):
    """A settings file, and whose it is."""

    invariant: str
    account: str
    session: str | None
    path: str


class Retention:
    """Compares `cleanupPeriodDays` of all homes, and of the projects that sessions run in.

    The machine's managed settings win over all, a project's over its home's (measured).
    """

    def __init__(
        self,
        accounts: Iterable[Account],
        clients: Clients,
        at_least: int | None = None,
    ) -> None:
        """Take all accounts, and the days that the inventory asks for, if it does."""
        self._accounts = list(accounts)
        self._clients = clients
        self._at_least = at_least
        self._longest: int | None = None

    def judge(self, account: Account) -> Finding | None:
        """Return why the transcripts live too short under *account*, or None."""
        setting = _Setting(HOME, account.name, None, settings_of(account))
        try:
            return self._judge(setting)
        except Unreadable as error:
            return unreadable(HOME, account, error)

    def judge_project(self, session: Session) -> Finding | None:
        """Return why the settings of a session's project cut the transcripts' life, or None."""
        for path in project_settings(session):
            setting = _Setting(PROJECT, session.account, session.name, path)
            try:
                if self._clients.settings(path).days is not None:
                    return self._judge(setting)
            except Unreadable as error:
                place = error.path or path
                fix = look("ls", "-l", place, note="Claude Code asks what to do about this file")
                wanted = f"settings in {os.path.dirname(place)} that can be read"
                return _fault(setting, "unreadable", wanted, f"{error} ({place})", fix)
        return None

    def _judge(self, setting: _Setting) -> Finding | None:
        (days, path), wanted = self._days(setting.path), self._wanted()
        if days is not None and days >= wanted:
            return None
        note = f'there must be "cleanupPeriodDays": {wanted} in {path}'
        fix = look("grep", "-s", "cleanupPeriodDays", path, note=note)
        expected = f"transcripts are kept for {wanted} days"
        if days is None:
            found = f"cleanupPeriodDays in {path} is no whole number above 0"
            return _fault(setting, "invalid", expected, found, fix)
        who = "the inventory asks for" if wanted == self._at_least else "another home keeps"
        found = f"{path} lets them be deleted after {days} days; {who} {wanted}"
        return _fault(setting, "too-short", expected, found, fix)

    def _days(self, path: str) -> tuple[int | None, str]:
        """Return the days that count where the settings at *path* do, and which file says so.

        The days are None for a wrong value. Raises Unreadable.
        """
        for place in (*self._clients.managed(), path):
            days = self._clients.settings(place).days
            if days is not None:
                whole = days if isinstance(days, int) and not isinstance(days, bool) else 0
                return whole if whole > 0 else None, place
        return DEFAULT_DAYS, path

    def _wanted(self) -> int:
        """Return the most that any home or the inventory asks for."""
        if self._longest is None:
            self._longest = self._at_least or 1
            for account in self._accounts:
                try:
                    days, _ = self._days(settings_of(account))
                except Unreadable:  # told by that account's own check
                    continue
                self._longest = max(self._longest, days or DEFAULT_DAYS)
        return self._longest


def _fault(setting: _Setting, state: str, expected: str, found: str, fix: str) -> Finding:
    return Finding(
        invariant=setting.invariant,
        account=setting.account,
        session=setting.session,
        state=state,
        expected=expected,
        found=found,
        fix=fix,
    )
