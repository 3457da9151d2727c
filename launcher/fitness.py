"""What must hold before a session is taken from the account under which it works."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from time import monotonic, sleep

from invariants.finding import Finding, quoted
from invariants.fixes import look, noted
from invariants.inventory import Account, Inventory, Session, inventory_option
from invariants.programs import has_conversation
from invariants.readiness import judge_login, judge_readiness
from launcher.background import how_to_end, worker_of
from launcher.bounded import bounded
from launcher.conversations import Conversation, look_up_within, projects_of
from launcher.errors import LauncherError, NotJudged
from launcher.interrupts import Interrupts
from launcher.notes import writers_within
from launcher.processes import listed
from launcher.remembered import remember_turns
from launcher.sessions import backend_for_starts
from launcher.sessions.environment import session_environment
from launcher.sessions.survey import Survey, told_of_suspects
from launcher.transcripts import is_begun
from launcher.unkept import why_unkept

_WRITING = 3.0
"""Seconds that a client has to begin the transcript of what was said just now."""

_PAUSE = 0.1


def unfit(
    inventory: Inventory,
    session: Session,
    account: Account,
    survey: Survey,
    environ: Mapping[str, str],
    interrupts: Interrupts,
    *,
    without_conversation: bool = False,
) -> list[Finding]:
    """Return all that keeps *session* from going on under *account*, each with its fix.

    A conversation that cannot go on is no reason if it may go *without_conversation*. That the
    account's home, links and targets are right is the gate's affair.
    """
    findings = [*_not_allowed(inventory, session, account)]
    findings += _not_ours(inventory, session, survey, environ)
    if has_conversation(session):
        findings += _not_ready(inventory, session, account, environ, interrupts)
        found = look_up_within(inventory, session, interrupts)
        findings += _not_free(inventory, session, survey, found, interrupts)
        if not without_conversation and not isinstance(found, str):
            option = inventory_option(inventory.path, environ)
            to = f"{session.name} {account.name}{option}"
            again = f"launcher switch {to} --without-conversation"
            findings += _not_kept(inventory, session, survey, found, again, interrupts)
    return findings


def _not_allowed(inventory: Inventory, session: Session, account: Account) -> Iterator[Finding]:
    if not session.may_run_under(account.name):
        allowed = dict.fromkeys([session.home_account, *(session.failover or ())])
        yield _finding(
            session,
            "not-allowed",
            f"one of {', '.join(allowed)}",
            f"{account.name}, which its failover list does not name",
            look(
                *("grep", "-n", "failover", inventory.path),
                note=f"name {account.name} in failover of the session {session.name} there",
            ),
        )


def _not_ours(
    inventory: Inventory, session: Session, survey: Survey, environ: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield what runs and may not be ended, what cannot be seen, or would not be once started."""
    wanted = f"every process of {session.name} known, and this inventory's"
    for kept in survey.alive(session.name):
        if kept.elsewhere is not None:
            found = f"it runs for the inventory {kept.elsewhere} (pid {kept.process.pid})"
            fix = quoted("launcher", "--inventory", kept.elsewhere, "down", session.name)
            yield _finding(session, "runs-elsewhere", wanted, found, fix)
    for kept in survey.dead(session.name):
        if suspects := survey.suspects(kept):
            pids = " ".join(str(process.pid) for process in suspects)
            found = f"its program has ended, but {told_of_suspects(suspects)}"
            yield _finding(session, "doubtful", wanted, found, f"kill {pids}")
    seen = bool(survey.alive(session.name))
    backend = backend_for_starts(inventory.settings, survey.backends, environ)
    why = survey.why_no_start(backend) or (None if seen else survey.lost_server())
    if why is not None:
        fix = why.partition("brings it back: ")[2] or look("ls", "-la", "/tmp", note=why)
        yield _finding(session, "unseen", wanted, why, fix)


def _not_ready(
    inventory: Inventory,
    session: Session,
    account: Account,
    environ: Mapping[str, str],
    interrupts: Interrupts,
) -> list[Finding]:
    """Return what Claude Code would stop at under *account*."""
    option = inventory_option(inventory.path, environ)
    given = session_environment(session, account, environ)

    def judged() -> list[Finding]:
        login = judge_login(account, option, given, session=session)
        readiness = judge_readiness(account, session, option)
        return [finding for finding in (login, readiness) if finding is not None]

    try:
        return bounded(judged, inventory.settings.timeout, interrupts)
    except NotJudged as error:
        wanted = f"a home of {account.name} that can be read"
        fix = look("ls", "-la", account.home, note="what hangs")
        return [_finding(session, "unreadable", wanted, str(error), fix)]


def _not_free(
    inventory: Inventory,
    session: Session,
    survey: Survey,
    found: Conversation | str,
    interrupts: Interrupts,
) -> Iterator[Finding]:
    """Yield why the conversation is not known, or whoever else has it open."""
    if isinstance(found, str):
        wanted = "a conversation that can be begun or resumed"
        yield _finding(session, "unknown-conversation", wanted, found, _status(inventory))
        return
    homes = [account.home for account in inventory.accounts]
    own = {one for kept in survey.kept.get(session.name, []) for one in survey.members(kept)}
    try:
        every = writers_within(found.id, homes, inventory.settings.timeout, interrupts)
        background = survey.background.get(session.name, [])
        others = [one for one in every if one not in own and not worker_of(one, background)]
        fix = how_to_end(others, homes)
    except LauncherError as error:
        wanted = "homes that tell who has a conversation open"
        yield _finding(session, "unreadable", wanted, str(error), _status(inventory))
        return
    if others:
        wanted = f"its conversation {found.id} open in the session alone"
        yield _finding(session, "open-elsewhere", wanted, f"it is open in {listed(others)}", fix)


def _status(inventory: Inventory) -> str:
    words = "launcher", "status", "--inventory", inventory.path
    return look(*words, note="docs/switch.md says what to do about it")


def _not_kept(
    inventory: Inventory,
    session: Session,
    survey: Survey,
    found: Conversation,
    again: str,
    interrupts: Interrupts,
) -> Iterator[Finding]:
    """Yield what a switch would leave behind in silence; *again* is the command that does it."""
    wanted = "its conversation, to go on with"
    projects = projects_of(inventory, session)
    for left in found.left:
        state = "turns-missing" if left.is_gone else "other-conversation"
        note = f"begins another one; or {left.fix(inventory, session.name, projects)}"
        yield _finding(session, state, wanted, left.found, noted(again, note))
    if not found.left and (why := _unkept(inventory, session, survey, found, interrupts)):
        missing = f"no turn of its conversation {found.id} is on disk: {why}"
        note = "what was said in it is lost by that: copy from the terminal what matters first"
        yield _finding(session, "turns-missing", wanted, missing, noted(again, note))


def _unkept(
    inventory: Inventory,
    session: Session,
    survey: Survey,
    found: Conversation,
    interrupts: Interrupts,
) -> str | None:
    """Return why the running *session* may have turns that are nowhere, or None."""
    runs = [kept for kept in survey.alive(session.name) if kept.elsewhere is None]
    if found.begun or not runs:
        return None

    projects, seconds = projects_of(inventory, session), inventory.settings.timeout
    until = monotonic() + min(_WRITING, seconds / 2)

    def look() -> str | None:
        for kept in runs:
            why = why_unkept(kept.home, session.directory, survey.members(kept), found.id)
            if why is not None:
                return why
        return None

    def look_for_long() -> str | None:
        """Give a client time: it writes a prompt into its history before the transcript."""
        while (why := look()) is not None:
            if is_begun(projects, session.directory, found.id):
                return None
            if monotonic() > until:
                return why
            sleep(_PAUSE)
        return None

    try:
        return bounded(look_for_long, seconds, interrupts)
    except NotJudged as error:
        return f"whether anything was said in it is not known: {error}"


def give_up_unkept(
    inventory: Inventory, session: Session, survey: Survey, interrupts: Interrupts
) -> None:
    """Note that turns of the running *session* are nowhere, if that is so: its id is used no more.

    Raises OSError, and LauncherError for a record that cannot be read.
    """
    found = conversation_of(inventory, session, interrupts)
    if found is not None and _unkept(inventory, session, survey, found, interrupts):
        remember_turns(inventory, session)


def conversation_of(
    inventory: Inventory, session: Session, interrupts: Interrupts
) -> Conversation | None:
    """Return the conversation of *session*, or None where there is or is known none."""
    if not has_conversation(session):
        return None
    found = look_up_within(inventory, session, interrupts)
    return None if isinstance(found, str) else found


def _finding(session: Session, state: str, expected: str, found: str, fix: str) -> Finding:
    return Finding(
        invariant="session_can_be_switched",
        session=session.name,
        state=state,
        expected=expected,
        found=found,
        fix=fix,
    )
