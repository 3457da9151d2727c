"""The starts of sessions behind a gate: looked at before, and seen alive afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from time import monotonic

from invariants.inventory import Account, Inventory, Session
from invariants.memory_rules import options_of
from invariants.programs import has_conversation, session_program
from launcher.background import how_to_end
from launcher.conversations import (
    Conversation,
    look_up_within,
    prepare,
    projects_of,
    remember_start,
)
from launcher.errors import Interrupted, LauncherError, NotJudged, Unavailable
from launcher.interrupts import Interrupts
from launcher.lock import conversations_locked
from launcher.notes import writers_within
from launcher.processes import listed
from launcher.second_look import looked_again
from launcher.sessions import (
    SessionState,
    SessionStatus,
    Start,
    backend_for_starts,
    holders,
)
from launcher.sessions.environment import session_environment
from launcher.sessions.survey import Survey
from launcher.sessions.trampoline import is_on_its_way
from launcher.verdict import Colour, Gate

_PAUSE = 0.03


def start_one(
    inventory: Inventory,
    name: str,
    environ: Mapping[str, str],
    interrupts: Interrupts,
    gate: Gate,
) -> tuple[Gate, SessionStatus, Conversation | None]:
    """Start the session *name*, behind *gate*, as ``up`` would; publish nothing.

    The caller holds the lock of its conversation. Returns the gate as it is known in the end,
    what became of the session, and the conversation that it was given. Raises Unavailable where
    it cannot be seen whether it runs.
    """
    survey = Survey(inventory, environ)
    survey.bring_back_server()
    sessions = [session for session in inventory.sessions if session.name == name]
    before = [survey.status(session, SessionState.STOPPED) for session in sessions]
    starting = Starting(inventory, environ, interrupts, gate, survey)
    idle = before[0].state is SessionState.STOPPED
    (after,) = starting.carry_out(sessions if idle else [], before)
    return starting.gate, after, starting.conversation(name)


@contextmanager
def all_conversations_locked(inventory: Inventory, interrupts: Interrupts) -> Iterator[None]:
    """Hold the lock of every conversation that a session of *inventory* may have."""
    sessions = [session for session in inventory.sessions if has_conversation(session)]
    places = {projects_of(inventory, session) for session in sessions}
    with ExitStack() as held_locks:
        for projects in sorted(places):
            held_locks.enter_context(conversations_locked(projects, interrupts))
        yield


class _Tried:
    """One start: when it was made, and what is known to have gone wrong with it."""

    def __init__(self, session: Session, at: float) -> None:
        self.session = session
        self.at = at
        self.is_on_its_way = False
        self.fault: str | None = None
        self.where: str | None = None
        self.words: str | None = None
        self.conversation: Conversation | None = None


class Starting:
    """The starts of one call: side by side, each judged by what is seen of it afterwards.

    ``gate`` is what they are made behind, as it is known by now. The caller holds the locks of the
    sessions' conversations.
    """

    def __init__(
        self,
        inventory: Inventory,
        environ: Mapping[str, str],
        interrupts: Interrupts,
        gate: Gate,
        survey: Survey,
    ) -> None:
        self.gate = gate
        self.inventory = inventory
        self._environ = environ
        self._interrupts = interrupts
        self._survey = survey
        self._backend = backend_for_starts(inventory.settings, survey.backends, environ)
        self._tried: dict[str, _Tried] = {}
        self._unseen: str | None = None

    def carry_out(
        self, sessions: list[Session], statuses: list[SessionStatus]
    ) -> list[SessionStatus]:
        """Start *sessions* and see them alive; return *statuses* with what became of them.

        A signal or a fault ends the starts early, and hides nothing of what was started.
        """
        try:
            self.start(sessions)
            self.see_alive()
        except Interrupted:
            pass
        except Exception as error:
            self.gate = self.gate.unknown(f"a fault of claude-failover: {error!r}")
        return self.outcomes(statuses)

    def start(self, sessions: list[Session]) -> None:
        """Start *sessions*, and stop as soon as the VM is no longer what the gate saw.

        Before the first start the launcher looks at all homes, targets, links and sessions itself:
        a second opinion, in case the invariants' tests were tampered with. Before each further one
        it looks at the session, at those of its account, and at the targets.
        """
        for session in sessions:
            self._interrupts.check()
            account = self.inventory.account(session.account)
            if not self._still_holds(session if self._tried else None):
                return
            tried = self._tried[session.name] = _Tried(session, monotonic())
            try:
                self._start(session, account)
            except Interrupted:
                raise
            except Exception as error:  # whatever it is, the others' outcome is to be told
                known = isinstance(error, Unavailable | OSError)
                tried.fault = str(error) if known else f"a fault of claude-failover: {error!r}"

    def _start(self, session: Session, account: Account) -> None:
        if self._survey.why_no_start(self._backend) is not None:
            self._survey.bring_back_server()  # its socket may have gone since the last start
        if (why := self._survey.why_no_start(self._backend)) is not None:
            raise Unavailable(why)
        for dead in self._survey.dead(session.name):
            if dead.backend is not None:
                self._survey.backends[dead.backend].discard(dead)
        self._backend.start(self._all_about(session, account))

    def see_alive(self) -> None:
        """Watch what was started until each has lived for the settling time, or has died."""
        settle = self.inventory.settings.settle
        while True:
            self._look()
            now = monotonic()
            if all(
                tried.fault or (now - tried.at >= settle and not tried.is_on_its_way)
                for tried in self._tried.values()
            ):
                return
            self._interrupts.sleep(_PAUSE)

    def conversation(self, name: str) -> Conversation | None:
        """Return the conversation that the session *name* was started with."""
        return self._tried[name].conversation if name in self._tried else None

    def outcomes(self, statuses: list[SessionStatus]) -> list[SessionStatus]:
        """Return *statuses* with what became of sessions that did not run before.

        What was started and cannot be looked at since is no failure: the gate is unknown then.
        """
        self._look()
        if self._unseen is not None and self._tried:
            self.gate = self.gate.unknown(f"what was started cannot be looked at: {self._unseen}")
        for tried in self._tried.values():
            with suppress(OSError, LauncherError):  # the conversation before is what it costs
                self._remember(tried)
            with suppress(OSError, LauncherError):  # another machine refuses to start it then
                self._confirm(tried.session.name)
        return [self._outcome(status) for status in statuses]

    def _confirm(self, name: str) -> None:
        """Note that the session holds its lock: a free one is the proof of its end from now on."""
        members = [one for kept in self._survey.alive(name) for one in self._survey.members(kept)]
        holders.confirm(self.inventory.settings.state, name, members)

    def _remember(self, tried: _Tried) -> None:
        """Note which process has which conversation: what it goes over to is found by that."""
        session = tried.session
        if tried.conversation is not None:
            for kept in self._survey.alive(session.name):
                remember_start(self.inventory, session, kept, tried.conversation, self._interrupts)

    def _outcome(self, status: SessionStatus) -> SessionStatus:
        tried = self._tried.get(status.name)
        if tried is None:
            return status if self.gate.verdict.colour is Colour.GREEN else status.held()
        if tried.fault:
            words = tried.words
            return status._replace(state=SessionState.FAILED, detail=tried.fault, words=words)
        if self._unseen is not None:
            tried.where = f"started, and not seen since: {self._unseen}"
        remark = tried.conversation.remark if tried.conversation else None
        detail = "; ".join(one for one in (tried.where, remark) if one) or None
        return status._replace(state=SessionState.STARTED, detail=detail)

    def _look(self) -> None:
        """Note what is wrong with each start: it died, and said why, or cannot be seen.

        What is seen decides, not what its start answered: a call that was cut short may have
        started it all the same.
        """
        try:
            self._survey.look()
            for tried in self._tried.values():
                self._judge(tried)
            self._unseen = None
        except Exception as error:  # be it a fault of ours: what was started is to be told
            self._unseen = str(error)

    def _judge(self, tried: _Tried) -> None:
        seen = self._survey.status(tried.session, SessionState.STOPPED)
        alive = self._survey.alive(tried.session.name)
        tried.is_on_its_way = any(is_on_its_way(kept.process) for kept in alive)
        if tried.is_on_its_way:
            tried.at = monotonic()  # its program has not begun to live
        if seen.state is SessionState.RUNNING:
            tried.fault, tried.where = None, seen.detail
        elif tried.fault is None:
            ended = seen.state is SessionState.STOPPED
            tried.fault = f"it {seen.detail or 'ended at once'}" if ended else seen.detail
            for dead in self._survey.dead(tried.session.name):
                if dead.backend is not None:
                    tried.words = self._survey.backends[dead.backend].words(dead)

    def _all_about(self, session: Session, account: Account) -> Start:
        program = session_program(session, self._environ)
        if program is None:
            raise Unavailable(f"its program {session.command[0]} is gone since the gate")
        environment = session_environment(session, account, self._environ)
        options: tuple[str, ...] = ()
        if has_conversation(session):
            conversation = self._conversation(session)
            self._tried[session.name].conversation = conversation
            options = conversation.options + options_of(self.inventory, session, program)
        lock = holders.prepare(self.inventory.settings.state, session.name)
        return Start(session, account, program, environment, self.inventory.path, options, lock)

    def _conversation(self, session: Session) -> Conversation:
        """Return the conversation to begin or resume: one that nobody has open."""
        found = look_up_within(self.inventory, session, self._interrupts)
        if isinstance(found, str):
            raise Unavailable(found)
        homes = [account.home for account in self.inventory.accounts]
        seconds = self.inventory.settings.timeout
        try:
            others = writers_within(found.id, homes, seconds, self._interrupts)
        except NotJudged as error:
            raise Unavailable(f"who has its conversation open is not known: {error}") from error
        if others:
            raise Unavailable(
                f"its conversation {found.id} is open already: {listed(others)}; "
                f"two would write one transcript, so end that first: {how_to_end(others, homes)}"
            )
        prepare(self.inventory, session, found, self._interrupts)
        return found

    def _still_holds(self, session: Session | None) -> bool:
        """Look once more right before a start: at all of the inventory, or at *session*'s part."""
        before, waiting = self.gate, self._interrupts
        self.gate = looked_again(before, self.inventory, self._environ, waiting, session=session)
        return self.gate is before
