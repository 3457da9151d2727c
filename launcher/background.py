"""A session's background sessions: Claude Code's workers that write its conversation.

``←`` at an empty prompt hands a conversation over to a worker of the home's daemon, as a fork with
an id of its own. The daemon may be older than the session: then its workers have no mark of the
session's and outlive it, and one that was killed comes back after 12 s (measured with 2.1.332).
So they are looked for by their conversation, and ended by the client's own command.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from time import monotonic

from invariants.background import Worker, stopping, workers
from invariants.conversations import any_client
from invariants.documents import Unreadable
from invariants.inventory import Account, Inventory, Session
from invariants.programs import has_conversation, session_program
from launcher.bounded import bounded
from launcher.errors import LauncherError, Unavailable
from launcher.interrupts import Interrupts
from launcher.notes import live_notes
from launcher.processes import Process, command_line, identify, parent_of
from launcher.remembered import recall
from launcher.sessions import Kept, groups
from launcher.sessions.environment import NO_AGENT_VIEW, session_environment
from launcher.sessions.survey import Survey

_PATIENCE = 20.0
_PAUSE = 0.1


def tell_all(
    inventory: Inventory,
    runs: Mapping[str, Sequence[Kept]],
    environ: Mapping[str, str],
    interrupts: Interrupts,
) -> dict[str, list[Worker] | str]:
    """Tell the background sessions of each session in *runs* to end, by the client's command.

    *runs* are what runs of each session; call this before that is ended, since it notes what it
    handed over. Returns by session what was told to end, or why it is not known; :func:`fault`
    then says whether it has ended.
    """
    sessions = [one for one in inventory.sessions if one.name in runs and has_conversation(one)]

    def find() -> dict[str, list[Worker]]:
        if not live(account.home for account in inventory.accounts):
            return {}
        return {one.name: of_session(inventory, one, runs[one.name]) for one in sessions}

    try:
        found = bounded(find, inventory.settings.timeout, interrupts) if sessions else {}
    except LauncherError as error:
        return {one.name: str(error) for one in sessions}
    for session in sessions:
        for worker in found.get(session.name, ()):
            _tell(worker, inventory, session, environ)
    return dict(found)


def _tell(
    worker: Worker, inventory: Inventory, session: Session, environ: Mapping[str, str]
) -> None:
    """Run the client's ``stop``; whether it did anything is looked at later."""
    import subprocess  # as long to import as all else here: only where there is a worker

    program = session_program(session, environ)
    accounts = [account for account in inventory.accounts if account.home == worker.home]
    if program is None or not accounts:
        return
    with suppress(OSError, subprocess.SubprocessError):
        subprocess.run(
            [program, "stop", worker.job],
            env=_environment(session, accounts[0], environ),
            cwd=worker.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )


def _environment(session: Session, account: Account, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what the client's ``stop`` runs in: it refuses to, where the agent view is off."""
    given = session_environment(session, account, environ)
    given.pop(NO_AGENT_VIEW, None)
    return given


def of_session(inventory: Inventory, session: Session, runs: Sequence[Kept]) -> list[Worker]:
    """Return the workers that run, or will, for a conversation of *session*, or as part of *runs*.

    Raises Unavailable. A home that hangs makes this hang.
    """
    found = live(account.home for account in inventory.accounts)
    if not found:
        return []
    record = recall(inventory.settings.state, session.name)
    its = {record.conversation, record.last_word(), record.fork()} if record else set()
    its |= {session.conversation} - {"auto", "off"}
    table = groups.look()
    members = {one for kept in runs for one in kept.group.members(table)}
    for kept in runs:
        every = [note for note in live_notes(kept.home) if note.process in members]
        notes = [note for note in every if note.job is None]
        its |= {one for note in notes for one in (note.conversation, note.fork)}
    of_it = [one for one in found if one.conversation in its or _process(one) in members]
    return [one for one in of_it if one.conversation in its or not one.is_spare]


def of_sessions(
    inventory: Inventory, sessions: Iterable[Session], survey: Survey
) -> dict[str, list[Worker]]:
    """Return the background sessions of each of *sessions* that has any, by its name.

    What cannot be read is left out: a start asks again. A home that hangs makes this hang.
    """
    found = {}
    with suppress(LauncherError):
        if live(account.home for account in inventory.accounts):
            for session in sessions:
                if has_conversation(session):
                    runs = [one for one in survey.kept.get(session.name, ()) if not one.elsewhere]
                    found[session.name] = of_session(inventory, session, runs)
    return {name: workers for name, workers in found.items() if workers}


def look(inventory: Inventory, survey: Survey, interrupts: Interrupts) -> None:
    """Note in *survey* the background sessions of all sessions, as far as that can be seen."""
    seconds = inventory.settings.timeout
    with suppress(LauncherError):
        survey.background = bounded(
            lambda: of_sessions(inventory, inventory.sessions, survey), seconds, interrupts
        )


def fault(told: list[Worker] | str | None, interrupts: Interrupts) -> str | None:
    """Wait for what :func:`tell_all` told to end; say what has not after some seconds, or None.

    If a home could not be read, it is known all the same that none runs where no Claude Code does.
    """
    unknown = "whether a background session of it runs is not known"
    if not isinstance(told, list):
        return f"{unknown}: {told}" if told and any_client() else None
    homes, jobs = {one.home for one in told}, {(one.home, one.job) for one in told}
    until = monotonic() + _PATIENCE
    try:
        while left := [one for one in live(homes) if (one.home, one.job) in jobs]:
            if monotonic() > until:
                which = "; ".join(f"{one.job} (pid {one.pid}): {one.fix}" for one in left)
                return f"its background session still runs: {which}"
            interrupts.sleep(_PAUSE)
    except LauncherError as error:
        return f"{unknown}: {error}"
    return None


def live(homes: Iterable[str]) -> list[Worker]:
    """Return the workers of *homes* that run, or will be run again. Raises Unavailable."""
    try:
        every = [worker for home in homes for worker in workers(home)]
    except Unreadable as error:
        raise Unavailable(str(error)) from error
    return [worker for worker in every if _process(worker) or _is_daemon(worker.supervisor)]


def _process(worker: Worker) -> Process | None:
    process = identify(worker.pid)
    if process is None or str(process.start) != worker.start or not process.is_alive():
        return None
    return process


def _is_daemon(pid: int | None) -> bool:
    process = identify(pid) if pid is not None else None
    return process is not None and process.is_alive() and "daemon" in command_line(process)


def how_to_end(processes: Sequence[Process], homes: Iterable[str]) -> str:
    """Return the command line that ends *processes* for good, workers by the client's command."""
    there = live(homes)
    found = {process: worker_of(process, there) for process in processes}
    lines = dict.fromkeys(stopping(one.home, one.job) for one in found.values() if one)
    rest = [str(process.pid) for process, worker in found.items() if worker is None]
    return " && ".join([*lines, *([f"kill {' '.join(rest)}"] if rest else [])])


def worker_of(process: Process, among: Iterable[Worker]) -> Worker | None:
    """Return which worker *among* some *process* is, or the child of; or None."""
    by_pid = {worker.pid: worker for worker in among}
    return by_pid.get(process.pid) or by_pid.get(parent_of(process) or 0)
