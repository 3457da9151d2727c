"""``switch``: a session and its conversation go on under another account.

The order makes a kill at any moment harmless. First everything is looked at, and nothing changed.
Then the old process is ended, and proved dead with all that it started; then the placement says
whose the session is now; only then is the new one started. So whoever comes after finds the old
one running under its placement, or nothing running and a placement to start it by, or the new one
running under its placement: what ``up`` and ``status`` know how to read. The locks of launcher and
conversation are held throughout, and before each start nobody else may have it open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from enum import StrEnum
from time import monotonic
from typing import Any, TypeVar

from invariants.finding import Finding
from invariants.inventory import Account, Inventory, Session
from launcher import background
from launcher.boot import check, confirmed
from launcher.conversations import follow
from launcher.errors import ExitCode, LauncherError, NotJudged, Unavailable
from launcher.fitness import conversation_of, give_up_unkept, unfit
from launcher.gate import validate_all
from launcher.interrupts import Interrupts
from launcher.placements import moved, place
from launcher.processes import listed
from launcher.prompt import why_not_ready
from launcher.report import failover_key, published
from launcher.sessions import Kept, SessionState, SessionStatus, holders
from launcher.sessions.groups import end, look
from launcher.sessions.survey import Survey, unseen
from launcher.starting import all_conversations_locked, start_one
from launcher.verdict import Colour, Gate

_Seen = TypeVar("_Seen")
_PATIENCE = 10.0
_PAUSE = 0.2


class Outcome(StrEnum):
    """What has become of a switch."""

    HELD = "held"  # the gate is not green
    REFUSED = "refused"
    PLANNED = "planned"
    THERE = "already-there"
    SWITCHED = "switched"
    RETURNED = "returned"  # it did not come up, and runs under its old account again
    FAILED = "failed"


_CODES = {Outcome.REFUSED: ExitCode.RED}
_CODES |= dict.fromkeys((Outcome.RETURNED, Outcome.FAILED), ExitCode.UNAVAILABLE)
_OF_GATE = {Colour.RED: ExitCode.RED, Colour.UNKNOWN: ExitCode.UNKNOWN}


@dataclass(frozen=True, slots=True)
class Switch:
    """What a switch was to do, and what has become of it.

    ``origin`` is the account under which the session was; ``pids`` lead what of it ran. ``begun``
    says that anything has been said in the ``conversation``.
    ``words`` are for the terminal only: what a new process that did not come up printed last.
    """

    session: str
    origin: str
    account: str
    gate: Gate
    sessions: list[SessionStatus]
    outcome: Outcome
    conversation: str | None = None
    begun: bool = False
    pids: tuple[int, ...] = ()
    detail: str | None = None
    findings: tuple[Finding, ...] = ()
    words: str | None = None

    @property
    def exit_code(self) -> int:
        """The gate's code where it is not green; else 1 for a refusal, 69 for no new process."""
        return _OF_GATE.get(self.gate.verdict.colour, _CODES.get(self.outcome, ExitCode.OK))

    def as_json(self, inventory: Inventory) -> dict[str, Any]:
        """Return the document of ``switch --json``: the report's keys, and the switch."""
        return {
            **failover_key(inventory, self.gate, self.sessions),
            "switch": {
                "session": self.session,
                "from": self.origin,
                "to": self.account,
                "outcome": self.outcome.value,
                "conversation": self.conversation,
                "begun": self.begun,
                "detail": self.detail,
                "refused": [finding.as_json() for finding in self.findings],
            },
        }


def switch(
    inventory: Inventory,
    session: Session,
    account: Account,
    environ: Mapping[str, str],
    interrupts: Interrupts,
    *,
    dry_run: bool = False,
    without_conversation: bool = False,
) -> Switch:
    """Move *session*, and its conversation if it has one, to *account*.

    Until the old process is told to end nothing is changed but the report; after that a failure
    brings the session back under its old account. One that did not run is started. A signal
    counts as a failure. With *dry_run* nothing is written, not even the report. A conversation
    whose turns are missing is left behind only if it may go *without_conversation*. Raises
    LauncherError where nothing was changed.
    """
    if dry_run:
        gate, statuses = _looked(inventory, environ, interrupts)
    else:
        gate, statuses = check(inventory, environ, interrupts)
    move = Switch(session.name, session.account, account.name, gate, statuses, Outcome.HELD)
    if gate.verdict.colour is not Colour.GREEN:
        return move
    lock = nullcontext() if dry_run else all_conversations_locked(inventory, interrupts)
    with lock:
        survey = Survey(inventory, environ)
        if session.name in survey.hidden:
            raise Unavailable(f"session {session.name} {survey.hidden[session.name]}")
        if not dry_run:
            survey.bring_back_server()
            _note_conversations(inventory, survey, interrupts)
        background.look(inventory, survey, interrupts)
        if without_conversation and not dry_run:
            give_up_unkept(inventory, session, survey, interrupts)
        findings = tuple(
            unfit(
                inventory,
                session,
                account,
                survey,
                environ,
                interrupts,
                without_conversation=without_conversation,
            )
        )
        if findings:
            return replace(move, outcome=Outcome.REFUSED, findings=findings)
        ours = survey.kept.get(session.name, [])
        conversation = conversation_of(inventory, session, interrupts)
        move = replace(
            move,
            origin=_origin(ours, session, inventory),
            conversation=conversation.id if conversation else None,
            begun=conversation is not None and conversation.begun,
            pids=tuple(kept.process.pid for kept in ours if kept.alive),
        )
        is_there = _is_there(ours, account, survey)
        if dry_run:
            return replace(move, outcome=Outcome.THERE if is_there else Outcome.PLANNED)
        steps = Move(inventory, session, move, environ, interrupts)
        if is_there:
            steps.place(account.name)
            return steps.publish(Outcome.THERE)
        holders.make(inventory.settings.state, session.name)  # or no start would come after the end
        interrupts.check()
        gate, statuses = confirmed(inventory, gate, statuses, environ, interrupts)
        if gate.verdict.colour is not Colour.GREEN:
            return replace(move, gate=gate, sessions=statuses, outcome=Outcome.HELD)
        reason = f"green, and launcher switch is moving {session.name}, or was killed at it"
        under_way = gate.unknown(reason)
        if (tried := published(inventory, under_way, statuses, passing=True)) is not under_way:
            return replace(move, gate=tried)
        return steps.carry_out(ours)


def _looked(
    inventory: Inventory, environ: Mapping[str, str], interrupts: Interrupts
) -> tuple[Gate, list[SessionStatus]]:
    gate = validate_all(inventory, environ=environ, interrupts=interrupts)
    idle = SessionState.STOPPED if gate.verdict.colour is Colour.GREEN else SessionState.HELD
    try:
        survey = Survey(inventory, environ)
        return gate.with_seen(survey.warnings()), survey.statuses(idle)
    except Unavailable as error:
        return gate, unseen(inventory.sessions, error)


def _note_conversations(inventory: Inventory, survey: Survey, interrupts: Interrupts) -> None:
    """Note what each session has gone over to, while what is to be ended can tell."""
    try:
        follow(inventory, survey, interrupts)
    except OSError as error:
        raise NotJudged(f"which conversation runs cannot be noted: {error.strerror}") from error


def _origin(ours: list[Kept], session: Session, inventory: Inventory) -> str:
    """Return the account under which the session runs, or would be started."""
    homes = {account.name: account.home for account in inventory.accounts}
    for kept in ours:
        if kept.alive and homes.get(kept.account) == kept.home:
            return kept.account
    return session.account


def _is_there(ours: list[Kept], account: Account, survey: Survey) -> bool:
    """Tell whether all that runs of the session is one run under *account*."""
    running = [kept for kept in ours if survey.members(kept)]
    return [(kept.account, kept.home, kept.alive) for kept in running] == [
        (account.name, account.home, True)
    ]


class Move:
    """The steps of one switch that change something, each a method."""

    def __init__(
        self,
        inventory: Inventory,
        session: Session,
        move: Switch,
        environ: Mapping[str, str],
        interrupts: Interrupts,
    ) -> None:
        self._inventory = inventory
        self._session = session
        self._move = move
        self._environ = environ
        self._interrupts = interrupts

    def carry_out(self, ours: list[Kept]) -> Switch:
        """End the old process, start the new one, or the old one again; publish what runs now."""
        with Interrupts(signals=()) as deaf:  # what has begun is brought to an end
            try:
                if (undead := self.end(ours, deaf)) is not None:
                    return self.publish(Outcome.FAILED, f"{undead}; nothing was started")
                fault = self._under(self._move.account, self._interrupts)
            except LauncherError as error:
                fault = str(error)
            except Exception as error:  # nobody thought of it; the session is to run all the same
                fault = f"a fault of claude-failover: {error!r}"
            if fault is None:
                return self.publish(Outcome.SWITCHED)
            return self.publish(*self._back(fault, deaf))

    def end(self, ours: list[Kept], deaf: Interrupts) -> str | None:
        """End all of *ours*, politely first; return what is not proved dead, or None."""
        own, name = [kept for kept in ours if kept.elsewhere is None], self._session.name
        groups = [kept.group for kept in own]
        told = background.tell_all(self._inventory, {name: own}, self._environ, deaf).get(name)
        end(groups, deaf)
        table = _patiently(look, deaf)
        left = [one for group in groups for one in group.members(table) + group.suspects(table)]
        if left:
            return f"still running under {self._move.origin}: {listed(left)}"
        return background.fault(told, deaf)

    def place(self, account: str) -> None:
        """Note durably whose the session is now. Raises NotJudged."""
        try:
            place(self._inventory, self._session, account)
        except OSError as error:
            raise NotJudged(f"the switch cannot be noted: {error.strerror}") from error

    def start(self, account: str, interrupts: Interrupts) -> SessionStatus:
        """Start the session under *account*. Raises Unavailable where it cannot be seen."""
        there = moved(self._inventory, self._session.name, account)
        started = start_one(there, self._session.name, self._environ, interrupts, self._move.gate)
        gate, status, conversation = started
        if conversation is not None:
            self._move = replace(self._move, conversation=conversation.id, begun=conversation.begun)
        self._move = replace(self._move, gate=gate)
        return status

    def see_ready(self, account: str, interrupts: Interrupts) -> str | None:
        """Wait for the prompt of the new process; return why there is none, or None."""
        if self._move.conversation is None:
            return None
        survey, session = self._seen(account)
        why = why_not_ready(survey, session, self._move.conversation, interrupts)
        if why is not None:
            self._move = replace(self._move, words=survey.words(session.name))
        return why

    def _runs(self, account: str) -> bool:
        survey, session = self._seen(account)
        return survey.status(session, SessionState.STOPPED).state is SessionState.RUNNING

    def _seen(self, account: str) -> tuple[Survey, Session]:
        """Look at what runs; return that, and the session as it is under *account*."""
        there = moved(self._inventory, self._session.name, account)
        (session,) = [one for one in there.sessions if one.name == self._session.name]
        return Survey(there, self._environ), session

    def publish(self, outcome: Outcome, detail: str | None = None) -> Switch:
        """Publish the gate with what runs now, and return the switch as it ended."""
        name = self._session.name
        is_there = outcome in (Outcome.SWITCHED, Outcome.THERE)
        account = self._move.account if is_there else self._move.origin
        there, gate = moved(self._inventory, name, account), self._move.gate
        try:
            survey = Survey(there, self._environ)
            statuses = survey.statuses(SessionState.STOPPED)
            gate = gate.with_seen(survey.warnings())
        except Unavailable as error:
            statuses = unseen(there.sessions, error)
        statuses = [
            _told(status, outcome, detail) if status.name == name else status for status in statuses
        ]
        gate = published(self._inventory, gate, statuses)
        return replace(self._move, gate=gate, sessions=statuses, outcome=outcome, detail=detail)

    def _under(self, account: str, interrupts: Interrupts) -> str | None:
        """Start the session under *account*; return why it is not up, or None."""
        try:
            interrupts.check()
            self.place(account)
            status = self.start(account, interrupts)
            if status.state is not SessionState.STARTED:
                self._move = replace(self._move, words=status.words)
                why = status.detail or "the gate is no longer green"
                return f"it did not come up under {account}: {why}"
            interrupts.check()
            fault = self.see_ready(account, interrupts)
        except LauncherError as error:
            return str(error)
        return None if fault is None else f"it did not come up under {account}: {fault}"

    def _back(self, fault: str, deaf: Interrupts) -> tuple[Outcome, str]:
        """End what was started of the new one, and start the old one again if it ran."""
        origin = self._move.origin
        try:
            survey = _patiently(lambda: Survey(self._inventory, self._environ), deaf)
            if (undead := self.end(survey.kept.get(self._session.name, []), deaf)) is not None:
                return Outcome.FAILED, f"{fault}; {undead}; nothing else was started"
            fault += self._noted_back(origin)
            if not self._move.pids:
                return Outcome.FAILED, f"{fault}; it is stopped, as before, under {origin}"
            status = self.start(origin, deaf)
            if status.state is SessionState.STARTED:
                unready = self.see_ready(origin, deaf)
                if unready is None or self._runs(origin):
                    but = f", but {unready}" if unready else ""
                    return Outcome.RETURNED, f"{fault}; it runs under {origin} again{but}"
                status = status._replace(detail=unready)
        except LauncherError as error:
            return Outcome.FAILED, f"{fault}; it was not brought back under {origin}: {error}"
        why = status.detail or "the gate is no longer green"
        return Outcome.FAILED, f"{fault}; it was not brought back under {origin}: {why}"

    def _noted_back(self, origin: str) -> str:
        """Note that the session is *origin*'s again; return what a person must know if it is not.

        It is started there all the same: it is seen, and not started twice, wherever it is noted.
        """
        try:
            self.place(origin)
        except LauncherError as error:
            return f"; {error}: launcher switch {self._session.name} {origin}"
        return ""


def _patiently(see: Callable[[], _Seen], deaf: Interrupts) -> _Seen:
    """Return what *see* does, tried again for a while: a session must not stay down for one look.

    Raises Unavailable.
    """
    until = monotonic() + _PATIENCE
    while True:
        try:
            return see()
        except Unavailable:
            if monotonic() > until:
                raise
            deaf.sleep(_PAUSE)


def _told(status: SessionStatus, outcome: Outcome, detail: str | None) -> SessionStatus:
    """Return the state of the session that was to move, with what has become of the switch."""
    if outcome is Outcome.FAILED:
        return status._replace(state=SessionState.FAILED, detail=detail)
    started = status.state is SessionState.RUNNING and outcome is not Outcome.THERE
    return status._replace(state=SessionState.STARTED) if started else status
