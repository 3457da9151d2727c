"""Whether a session's account has a login, under which it would work; and those it may move to."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from invariants.client import (
    CREDENTIALS,
    KEYS,
    PROVIDERS,
    Clients,
    managed_inputs,
    project_settings,
    settings_of,
    states_of,
)
from invariants.finding import Finding
from invariants.inputs import Input, Part
from invariants.model import Account, Inventory, Session
from invariants.opening import open_at_once
from invariants.programs import runs_claude, session_program
from invariants.readiness import judge_login

if TYPE_CHECKING:
    from invariants.judges import Judges

_MAX_SCRIPT = 65536
_SHELL = re.compile(rb"#!\s*\S*/(env\s+)?(\S*/)?(sh|bash|dash|ksh|zsh)\b")


def inputs(inventory: Inventory, environ: Mapping[str, str]) -> Iterator[Input]:
    """Yield what is read to tell whether the accounts of sessions are logged in."""
    for session in filter(runs_claude, inventory.sessions):
        for account in inventory.accounts_for(session):
            value = partial(_judged, account, session)
            words = "whether there is a login, a key, a helper or a provider"
            part = Part(f"{account.name} {session.name}", value, words)
            places = [*states_of(account), settings_of(account), *project_settings(session)]
            program = session_program(session, environ)
            places += [os.path.join(account.home, CREDENTIALS), *([program] if program else [])]
            for path in places:
                yield Input(path, part, content=True)
            yield from managed_inputs(part)


def _judged(account: Account, session: Session, judges: Judges) -> object:
    return judge_session_login(account, session, judges.option, judges.clients, os.environ)


def judge_session_login(
    account: Account,
    session: Session,
    option: str,
    clients: Clients,
    environ: Mapping[str, str],
) -> Finding | None:
    """Return why *session* could not work under *account*, for want of a login; or None.

    A key or a provider that is named in the session's ``pass_environment`` counts, whatever the
    environment of this check has: a start may have another one. So does a command that brings its
    own settings, and a shell script in the program's place that names a key or a provider.
    *environ* tells of providers, which every session gets, and where the program is.
    """
    if any(word.partition("=")[0] == "--settings" for word in session.command):
        return None
    passed = {name: "1" for name in session.pass_environment if name in (*KEYS, *PROVIDERS)}
    providers = {name: environ[name] for name in PROVIDERS if name in environ}
    finding = judge_login(account, option, {**providers, **passed}, clients, session)
    return None if finding is not None and _is_wrapper(session, environ) else finding


def _is_wrapper(session: Session, environ: Mapping[str, str]) -> bool:
    """Tell whether the session's program is a script around Claude Code that gives it a login."""
    program = session_program(session, environ)
    if program is None:
        return False
    try:
        with open_at_once(program) as file:
            content = file.read(_MAX_SCRIPT + 1)
    except OSError:
        return False
    if len(content) > _MAX_SCRIPT or not _SHELL.match(content):
        return False
    return any(name.encode() in content for name in (*KEYS, *PROVIDERS, "--settings"))
