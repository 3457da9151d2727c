"""What must hold before a session is taken from the account under which it works."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from invariants.finding import Finding
from invariants.inventory import Account, Inventory, Session, inventory_option
from invariants.programs import has_conversation
from invariants.readiness import judge_login, judge_readiness
from launcher.bounded import bounded
from launcher.conversations import look_up_within
from launcher.errors import LauncherError, NotJudged
from launcher.interrupts import Interrupts
from launcher.notes import writers_within
from launcher.processes import listed
from launcher.sessions import backend_for_starts
from launcher.sessions.environment import session_environment
from launcher.sessions.survey import Survey, told_of_suspects


def unfit(
    inventory: Inventory,
    session: Session,
    account: Account,
    survey: Survey,
    environ: Mapping[str, str],
    interrupts: Interrupts,
) -> list[Finding]:
    """Return all that keeps *session* from going on under *account*, each with its fix.

    That the account's home, links and targets are right is the gate's affair.
    """
    findings = [*_not_allowed(inventory, session, account)]
    findings += _not_ours(inventory, session, survey, environ)
    if has_conversation(session):
        findings += _not_ready(inventory, session, account, environ, interrupts)
        findings += _not_free(inventory, session, survey, interrupts)
    return findings


def _not_allowed(inventory: Inventory, session: Session, account: Account) -> Iterator[Finding]:
    if not session.may_run_under(account.name):
        allowed = dict.fromkeys([session.home_account, *(session.failover or ())])
        yield _finding(
            session,
            "not-allowed",
            f"one of {', '.join(allowed)}",
            f"{account.name}, which its failover list does not name",
            f"name {account.name} in failover of the session {session.name} in {inventory.path}",
        )


def _not_ours(
    inventory: Inventory, session: Session, survey: Survey, environ: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield what runs and may not be ended, what cannot be seen, or would not be once started."""
    wanted = f"every process of {session.name} known, and this inventory's"
    for kept in survey.alive(session.name):
        if kept.elsewhere is not None:
            found = f"it runs for the inventory {kept.elsewhere} (pid {kept.process.pid})"
            fix = f"launcher --inventory {kept.elsewhere} down {session.name}"
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
        fix = why.partition("brings it back: ")[2] or f"ls -la /tmp  # look: {why}"
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
        login = judge_login(account, option, given)
        readiness = judge_readiness(account, session, option)
        return [finding for finding in (login, readiness) if finding is not None]

    try:
        return bounded(judged, inventory.settings.timeout, interrupts)
    except NotJudged as error:
        wanted = f"a home of {account.name} that can be read"
        fix = f"ls -la {account.home}  # look: what hangs"
        return [_finding(session, "unreadable", wanted, str(error), fix)]


def _not_free(
    inventory: Inventory, session: Session, survey: Survey, interrupts: Interrupts
) -> Iterator[Finding]:
    """Yield why the conversation is not known, or whoever else has it open."""
    found = look_up_within(inventory, session, interrupts)
    if isinstance(found, str):
        wanted = "a conversation that can be begun or resumed"
        yield _finding(session, "unknown-conversation", wanted, found, "see docs/switch.md")
        return
    homes = [account.home for account in inventory.accounts]
    own = {one for kept in survey.kept.get(session.name, []) for one in survey.members(kept)}
    try:
        every = writers_within(found.id, homes, inventory.settings.timeout, interrupts)
        others = [one for one in every if one not in own]
    except LauncherError as error:
        wanted = "homes that tell who has a conversation open"
        yield _finding(session, "unreadable", wanted, str(error), "see docs/switch.md")
        return
    if others:
        pids = " ".join(str(process.pid) for process in others)
        wanted = f"its conversation {found.id} open in the session alone"
        yield _finding(
            session, "open-elsewhere", wanted, f"it is open in {listed(others)}", f"kill {pids}"
        )


def conversation_id(inventory: Inventory, session: Session, interrupts: Interrupts) -> str | None:
    """Return the id of the conversation of *session*, or None where there is or is known none."""
    if not has_conversation(session):
        return None
    found = look_up_within(inventory, session, interrupts)
    return None if isinstance(found, str) else found.id


def _finding(session: Session, state: str, expected: str, found: str, fix: str) -> Finding:
    return Finding(
        invariant="session_can_be_switched",
        session=session.name,
        state=state,
        expected=expected,
        found=found,
        fix=fix,
    )
