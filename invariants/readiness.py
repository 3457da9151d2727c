"""Whether an account's home lets a session start without a question that nobody would answer."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from invariants.client import (
    Clients,
    ClientSettings,
    ClientState,
    is_logged_in,
    managed_inputs,
    project_settings,
    settings_of,
    state_beside,
    states_of,
)
from invariants.documents import Unreadable
from invariants.finding import Finding, quoted
from invariants.fixes import free_name, look, noted
from invariants.inputs import Input, Part
from invariants.memory import read
from invariants.model import Account, Inventory, Session
from invariants.programs import asks_questions
from invariants.trust import read_for_trust

if TYPE_CHECKING:
    from invariants.judges import Judges

INVARIANT = "session_can_start_unattended"
LOGIN = "session_is_logged_in"

_WITHOUT_HISTORY = (
    "import json, sys; state = json.load(sys.stdin); "
    '[project.pop("history", 0) for project in state["projects"].values()]; '
    "json.dump(state, sys.stdout)"
)


def inputs(inventory: Inventory, environ: Mapping[str, str]) -> Iterator[Input]:
    """Yield what is read to tell whether sessions start without a question."""
    sessions = [session for session in inventory.sessions if asks_questions(session)]
    started = {
        account.name: [one for one in sessions if account in inventory.accounts_for(one)]
        for account in inventory.accounts
    }
    for account in inventory.accounts:
        if not (its := started[account.name]):
            continue
        words = (
            "first start, trust for the sessions' directories, the mode that asks nothing, rules "
            "for the memory"
        )
        part = Part(account.name, partial(_answers, account, its), words)
        for path in (*states_of(account), settings_of(account)):
            yield Input(path, part, content=True)
        yield from managed_inputs(part)
        if (beside := state_beside(account)) is not None:
            yield Input(beside, part)
        for path in dict.fromkeys(path for one in its for path in read(inventory, one, environ)):
            yield Input(path, part, content=True)
    for session in sessions:
        words = "which directories may be trusted in its place"
        part = Part(f"of {session.name}", partial(_keys, session), words)
        yield Input(session.directory)
        for path in read_for_trust(session.directory):
            yield Input(path, part, content=True)


def _answers(account: Account, sessions: Sequence[Session], judges: Judges) -> object:
    return [
        (
            judge_readiness(account, one, judges.option, judges.clients),
            judges.memory.warning(account, one),
        )
        for one in sessions
    ]


def _keys(session: Session, judges: Judges) -> object:
    return judges.clients.trust_keys(session.directory)


def judge_readiness(
    account: Account, session: Session, option: str = "", clients: Clients | None = None
) -> Finding | None:
    """Return what Claude Code would stop at, were *session* started under *account*; or None.

    That is its first start (theme, login), the question whether the session's directory is
    trusted, or the warning about the mode that asks for no permission. The state is
    ``unreadable`` where that cannot be told. *option* is what a pasted ``launcher`` command needs
    to reach the same inventory; *clients* keeps what was read for the next question.
    """
    clients = Clients() if clients is None else clients
    try:
        state, settings = clients.state(account), clients.settings(settings_of(account))
        managed = [(path, clients.settings(path)) for path in clients.managed()]
    except Unreadable as error:
        return unreadable(INVARIANT, account, error, session)
    beside = None if state.exists else state_beside(account)
    if beside is not None and os.path.isfile(beside):
        found = f"no {state.name} in it; {beside} counts only while CLAUDE_CONFIG_DIR is not set"
        copy = quoted("cp", "-np", beside, os.path.join(account.home, state.name))
        fix = noted(copy, f"then start it as {home_assignment(account)} claude, always")
        return _fault(account, session, "not-onboarded", found, fix)
    if not state.onboarded:
        found = _not_onboarded(state)
        fix = _start(account, session, session.command[:1])
        return _fault(account, session, "not-onboarded", found, fix)
    try:
        keys = clients.trust_keys(session.directory)
    except OSError as error:
        found = f"{session.directory} is unreadable: {error.strerror}"
        fix = look("namei", "-l", session.directory, note="what on the way cannot be read")
        return _fault(account, session, "unreadable", found, fix)
    if any(key in state.trusted for key in keys):
        every = [settings, *(one for _, one in managed)]
        if state.may_bypass or any(one.may_bypass for one in every):
            return None
        whose = next((f", which {path} asks for" for path, one in managed if one.bypasses), "")
        if not whose and not _bypasses(session, settings):
            return None
        found = f"the warning about bypassing permissions{whose} was not accepted"
        fix = _start(account, session, session.command)
        return _fault(account, session, "not-accepted", found, fix)
    found = f"no trust for {keys[0]} in {state.name}"
    if keys[0] == os.path.realpath(os.path.expanduser("~")):
        # A yes to the question counts for that start only, and is not written down.
        note = "give the session another `directory`: in the home directory it asks each time"
        fix = look("ls", "-ld", session.directory, note=note)
    else:
        fix = _start(account, session, session.command[:1])
    return _fault(account, session, "not-trusted", found, fix)


def judge_login(
    account: Account,
    option: str = "",
    environ: Mapping[str, str] | None = None,
    clients: Clients | None = None,
    session: Session | None = None,
) -> Finding | None:
    """Return a finding where Claude Code has nothing to authenticate with for *account*.

    *environ* is what a session of that account would get of the environment: keys and providers
    named there count. So does what the project's settings name, for a *session*. The state is
    ``unreadable`` where it cannot be told. Whether the server still takes a login that is there
    is not asked.
    """
    clients = Clients() if clients is None else clients
    projects = [] if session is None else project_settings(session)
    try:
        if is_logged_in(account, clients, environ or {}, *projects):
            return None
    except Unreadable as error:
        return unreadable(LOGIN, account, error, session)
    return Finding(
        invariant=LOGIN,
        account=account.name,
        session=None if session is None else session.name,
        state="not-logged-in",
        expected=f"a login of Claude Code in {account.home}",
        found="no login, no API key and no helper that prints one",
        fix=noted(f"{home_assignment(account)} claude", "log in there with /login, then /exit"),
    )


def unreadable(
    invariant: str, account: Account, error: Unreadable, session: Session | None = None
) -> Finding:
    """Return the finding that a file of Claude Code's cannot be made sense of."""
    directory = account.home if error.path is None else os.path.dirname(error.path)
    found = str(error) if directory == account.home else f"{error} ({error.path})"
    return Finding(
        invariant=invariant,
        account=account.name,
        session=None if session is None else session.name,
        state="unreadable",
        expected=f"files of Claude Code in {directory} that can be read",
        found=found,
        fix=_fix_of(account, error, directory),
    )


def _fix_of(account: Account, error: Unreadable, directory: str) -> str:
    """Return what mends a file of Claude Code's, or shows it.

    A state grows by what older clients keep in it of each project: the prompts, with all that was
    pasted (upstream reports #5653, #6394). No client needs them to start.
    """
    if error.large is None or error.large not in states_of(account):
        return look("ls", "-la", directory, note="what cannot be read; Claude Code keeps backups")
    aside = free_name(error.large, "large")
    old, new = f"{aside}/{os.path.basename(error.large)}", f"{aside}/new"
    steps = (
        quoted("mkdir", aside),
        quoted("cp", "-p", error.large, old),
        f"{quoted(sys.executable, '-c', _WITHOUT_HISTORY)} <{quoted(old)} >{quoted(new)}",
        quoted("mv", "-f", new, error.large),
    )
    first = f"first end every Claude Code process of {account.name}"
    note = f"{first}; it leaves out the history of prompts, which {aside} keeps"
    return noted(f"(umask 077 && {' && '.join(steps)})", note)


def _bypasses(session: Session, settings: ClientSettings) -> bool:
    """Tell whether the session starts in, or can be put into, the mode that asks nothing."""
    words = session.command
    flags = {"--dangerously-skip-permissions", "--allow-dangerously-skip-permissions"}
    if flags & set(words) or "--permission-mode=bypassPermissions" in words:
        return True
    if ("--permission-mode", "bypassPermissions") in pairwise(words):
        return True
    return settings.bypasses


def _not_onboarded(state: ClientState) -> str:
    if not state.exists:
        return f"no {state.name}: Claude Code was never started there"
    return f"{state.name} does not say that the first start was completed"


def _start(account: Account, session: Session, words: Sequence[str]) -> str:
    """Return the command that answers the questions: a start by hand, which the gate would bar."""
    command = f"({quoted('cd', session.directory)} && {home_assignment(account)} {quoted(*words)})"
    return noted(command, "answer its questions, then /exit")


def home_assignment(account: Account) -> str:
    """Return the assignment in front of a command; quoted as a whole a shell would run it."""
    return f"CLAUDE_CONFIG_DIR={quoted(account.home)}"


def _fault(account: Account, session: Session, state: str, found: str, fix: str) -> Finding:
    return Finding(
        invariant=INVARIANT,
        account=account.name,
        session=session.name,
        state=state,
        expected=f"{account.name} starts Claude Code in {session.directory} without a question",
        found=found,
        fix=fix,
    )
