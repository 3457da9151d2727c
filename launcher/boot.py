"""``up``: the gate, and on green every session that does not run is started and seen alive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from time import monotonic

from invariants.checks import expected_checks
from invariants.entries import judge_entry
from invariants.finding import Finding
from invariants.inventory import Account, Inventory, Session, inventory_option
from invariants.programs import session_program
from launcher.bounded import bounded
from launcher.errors import Interrupted, NotJudged, Unavailable
from launcher.gate import Gate, validate_all
from launcher.interrupts import Interrupts
from launcher.report import announce, published
from launcher.sessions import (
    SessionState,
    SessionStatus,
    Start,
    backend_for_starts,
    session_environment,
)
from launcher.sessions.survey import Survey, unseen
from launcher.verdict import Colour, Failure, Verdict

_PAUSE = 0.03


def check(
    inventory: Inventory, environ: Mapping[str, str], interrupts: Interrupts
) -> tuple[Gate, list[SessionStatus]]:
    """Run the gate and look at the sessions; start nothing."""
    gate = validate_all(inventory, environ=environ, interrupts=interrupts)
    return gate, _statuses(inventory, gate, environ)[0]


def _statuses(
    inventory: Inventory, gate: Gate, environ: Mapping[str, str]
) -> tuple[list[SessionStatus], Survey | None]:
    idle = SessionState.STOPPED if gate.verdict.colour is Colour.GREEN else SessionState.HELD
    try:
        survey = Survey(inventory, environ)
    except Unavailable as error:
        return unseen(inventory.sessions, error), None
    return survey.statuses(idle), survey


def up(
    inventory: Inventory, environ: Mapping[str, str], interrupts: Interrupts
) -> tuple[Gate, list[SessionStatus]]:
    """Run the gate; on green start what does not run, and see it alive.

    The report says "unknown" from the first moment on, in case this launcher is killed. A green
    gate is published before the first start, so that nothing starts behind a report that cannot
    be written, and again with what became of the sessions. Returns the gate as it is known in
    the end, and every session's state. A signal ends the starts early; the rest is the same.
    """
    announce(inventory, "launcher up is at work, or was killed at it")
    gate = validate_all(inventory, environ=environ, interrupts=interrupts)
    statuses, survey = _statuses(inventory, gate, environ)
    gate = published(inventory, gate, statuses)
    idle = {status.name for status in statuses if status.state is SessionState.STOPPED}
    if gate.verdict.colour is not Colour.GREEN or not idle or survey is None:
        return gate, [_held(status) for status in statuses]
    boot = _Boot(inventory, environ, interrupts, gate, survey)
    with suppress(Interrupted):
        boot.start([session for session in inventory.sessions if session.name in idle])
        boot.see_alive()
    statuses = [boot.outcome(status) if status.name in idle else status for status in statuses]
    return published(inventory, boot.gate, statuses), statuses


def _held(status: SessionStatus) -> SessionStatus:
    """Return the state of a session that nothing was done for."""
    stopped = status.state is SessionState.STOPPED
    return replace(status, state=SessionState.HELD) if stopped else status


class _Boot:
    """The starts of one ``up``: side by side, each judged by what is seen of it afterwards."""

    def __init__(
        self,
        inventory: Inventory,
        environ: Mapping[str, str],
        interrupts: Interrupts,
        gate: Gate,
        survey: Survey,
    ) -> None:
        self.gate = gate
        self._inventory = inventory
        self._environ = environ
        self._interrupts = interrupts
        self._survey = survey
        self._backend = backend_for_starts(inventory.settings, survey.backends, environ)
        self._started: dict[str, float] = {}
        self._failed: dict[str, str] = {}
        self._words: dict[str, str | None] = {}

    def start(self, sessions: list[Session]) -> None:
        """Start *sessions*, and stop as soon as links are no longer what the gate saw.

        Before the first start the launcher looks at the links of all accounts itself: a second
        opinion, in case the invariants' tests were tampered with. Before each further one it
        looks at those of the session's account.
        """
        seen = False
        for session in sessions:
            self._interrupts.check()
            account = self._inventory.account(session.account)
            if not self._still_holds([account] if seen else self._inventory.accounts):
                return
            seen = True
            try:
                for dead in self._survey.dead(session.name):
                    self._survey.backends[dead.backend].discard(dead)
                self._backend.start(self._all_about(session, account))
            except (Unavailable, OSError) as error:
                self._failed[session.name] = str(error)
            else:
                self._started[session.name] = monotonic()

    def see_alive(self) -> None:
        """Watch what was started until each has lived for the settling time, or has died."""
        left = dict(self._started)
        while left:
            self._look()
            now, settle = monotonic(), self._inventory.settings.settle
            left = {
                name: since
                for name, since in left.items()
                if name not in self._failed and now - since < settle
            }
            if left:
                self._interrupts.sleep(_PAUSE)

    def outcome(self, status: SessionStatus) -> SessionStatus:
        """Return what became of a session that did not run before."""
        name = status.name
        if name in self._started and name not in self._failed:
            self._look()
        if name in self._failed:
            return replace(
                status,
                state=SessionState.FAILED,
                detail=self._failed[name],
                words=self._words.get(name),
            )
        if name in self._started:
            kept = self._survey.alive(name)
            return replace(status, state=SessionState.STARTED, detail=kept.where if kept else None)
        green = self.gate.verdict.colour is Colour.GREEN
        return replace(status, state=SessionState.STOPPED if green else SessionState.HELD)

    def _look(self) -> None:
        """Note which of the started sessions have died, and what they said."""
        try:
            self._survey.look()
        except Unavailable as error:
            self._failed.update((name, str(error)) for name in self._started)
            return
        for name in self._started:
            if name in self._failed or self._survey.alive(name):
                continue
            remains = self._survey.dead(name)
            self._failed[name] = "it ended at once"
            for dead in remains:
                self._failed[name] = f"it {dead.ending or 'ended at once'}"
                backend = self._survey.backends[dead.backend]
                self._words[name] = backend.words(dead)

    def _all_about(self, session: Session, account: Account) -> Start:
        program = session_program(session, self._environ)
        if program is None:
            raise Unavailable(f"its program {session.command[0]} is gone since the gate")
        environment = session_environment(session, account, self._environ)
        return Start(session, account, program, environment)

    def _still_holds(self, accounts: Sequence[Account]) -> bool:
        """Observe the links of *accounts* once more, right before a start."""
        option = inventory_option(self._inventory.path, self._environ)
        links, seconds = self._inventory.links, self._inventory.settings.timeout

        def look() -> list[Finding]:
            found = (judge_entry(one, link, option) for one in accounts for link in links)
            return [finding for finding in found if finding is not None]

        try:
            findings = bounded(look, seconds, self._interrupts)
        except NotJudged as error:
            verdict = replace(self.gate.verdict, colour=Colour.UNKNOWN, reason=str(error))
            self.gate = replace(self.gate, verdict=verdict)
            return False
        if findings:
            self.gate = replace(self.gate, verdict=self._contradicted(findings))
        return not findings

    def _contradicted(self, findings: list[Finding]) -> Verdict:
        """Return the gate's verdict, turned red by what was seen since."""
        nodeids = {
            (check.invariant, check.account, check.link): nodeid
            for nodeid, check in expected_checks(self._inventory, self._environ).items()
        }
        failures = tuple(
            Failure(nodeids[finding.invariant, finding.account, finding.link], finding)
            for finding in findings
        )
        verdict = self.gate.verdict
        passed = verdict.passed - len(failures)
        return replace(verdict, colour=Colour.RED, failures=failures, passed=passed)
