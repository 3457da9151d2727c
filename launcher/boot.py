"""``up``: the gate, and on green every session that does not run is started and seen alive."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from invariants.inventory import Inventory
from invariants.warning import Warned
from launcher.conversations import follow
from launcher.early import Started
from launcher.errors import Interrupted, LauncherError, Unavailable
from launcher.gate import run_all
from launcher.interrupts import Interrupts, Waiting
from launcher.processes import Process
from launcher.report import announce, published
from launcher.second_look import still_green
from launcher.sessions import SessionState, SessionStatus, died
from launcher.sessions.died import is_brought_back
from launcher.sessions.groups import GRACE
from launcher.sessions.survey import Survey, unseen
from launcher.verdict import Colour, Gate

if TYPE_CHECKING:
    from launcher.starting import Starting

_PAUSE = 0.1


def check(
    inventory: Inventory,
    environ: Mapping[str, str],
    interrupts: Interrupts,
    child: Started | None = None,
) -> tuple[Gate, list[SessionStatus]]:
    """Run the gate and look at the sessions; start nothing. Returns what was published.

    *child* is the gate's, where it has been started already.
    """
    gate = _judged(inventory, environ, interrupts, child)
    statuses, survey = _statuses(inventory, gate.verdict.colour, environ, interrupts)
    return published_now(inventory, _warned(gate, survey), statuses, environ, interrupts)


def published_now(
    inventory: Inventory,
    gate: Gate,
    statuses: list[SessionStatus],
    environ: Mapping[str, str],
    waiting: Waiting,
    *,
    keeper: Process | None = None,
) -> tuple[Gate, list[SessionStatus]]:
    """Publish *gate* as it is known now: a green one is looked at again by the launcher itself.

    Returns it as it was published, with the sessions' states beside it. *keeper* is who keeps the
    report true, if that is the caller.
    """
    gate = still_green(gate, inventory, environ, waiting)
    gate = published(inventory, gate, _beside(gate, statuses), keeper=keeper)
    return gate, _beside(gate, statuses)


def confirmed(
    inventory: Inventory,
    gate: Gate,
    statuses: list[SessionStatus],
    environ: Mapping[str, str],
    waiting: Waiting,
) -> tuple[Gate, list[SessionStatus]]:
    """Look again before something is done behind *gate*, which was published as green.

    Returns that very gate if all is well. Else what is known now is published, and returned.
    """
    now = still_green(gate, inventory, environ, waiting)
    if now is gate:
        return gate, statuses
    statuses = _beside(now, statuses)
    return published(inventory, now, statuses), statuses


def _beside(gate: Gate, statuses: list[SessionStatus]) -> list[SessionStatus]:
    green = gate.verdict.colour is Colour.GREEN
    return statuses if green else [status.held() for status in statuses]


def _judged(
    inventory: Inventory,
    environ: Mapping[str, str],
    interrupts: Interrupts,
    child: Started | None,
) -> Gate:
    """Run the gate. Should this launcher be killed at it, no green of an earlier one is left."""
    announce(inventory, "a launcher is at work, or was killed at it")
    return run_all(inventory, environ, interrupts, child)


def seen_sessions(
    inventory: Inventory, environ: Mapping[str, str], colour: Colour
) -> tuple[list[SessionStatus], tuple[Warned, ...]]:
    """Return the sessions' states beside a verdict of *colour*, and what the look warns of.

    None was started. A home that hangs makes this hang: the caller bounds it.
    """
    statuses, survey = _statuses(inventory, colour, environ, None)
    return statuses, () if survey is None else survey.warnings()


def _warned(gate: Gate, survey: Survey | None) -> Gate:
    """Return *gate* with what the last look at the sessions warns of."""
    return gate if survey is None else gate.with_seen(survey.warnings())


def _statuses(
    inventory: Inventory, colour: Colour, environ: Mapping[str, str], waiting: Waiting | None
) -> tuple[list[SessionStatus], Survey | None]:
    if not inventory.sessions:
        return [], None
    idle = SessionState.STOPPED if colour is Colour.GREEN else SessionState.HELD
    try:
        survey = Survey(inventory, environ)
    except Unavailable as error:
        return unseen(inventory.sessions, error), None
    with suppress(OSError, LauncherError):  # the conversation before is what it costs
        follow(inventory, survey, waiting)
    return survey.statuses(idle), survey


def up(
    inventory: Inventory,
    environ: Mapping[str, str],
    interrupts: Interrupts,
    child: Started | None = None,
    *,
    only_died: bool = False,
) -> tuple[Gate, list[SessionStatus]]:
    """Run the gate; on green start what does not run, and see it alive.

    With *only_died*, of what does not run only what died, and is to be brought back then.

    Before the first start the report says "unknown, starts are under way", so that nothing starts
    behind a report that cannot be written, and a launcher that is killed leaves no green; after
    the last it says the verdict, with what became of the sessions. Returns the gate as it is known
    in the end, and every session's state. A signal or a fault ends the starts early; the rest is
    the same.
    """
    died.take(inventory.settings.state)
    gate = _judged(inventory, environ, interrupts, child)
    return started(inventory, environ, interrupts, gate, only_died=only_died)


def started(
    inventory: Inventory,
    environ: Mapping[str, str],
    interrupts: Interrupts,
    gate: Gate,
    *,
    only: Collection[str] | None = None,
    only_died: bool = False,
    keeper: Process | None = None,
) -> tuple[Gate, list[SessionStatus]]:
    """Do what :func:`up` does after its *gate*; of the sessions start those named in *only*.

    *keeper* is who keeps the report true, where that is the caller.
    """
    statuses, survey = _statuses(inventory, gate.verdict.colour, environ, interrupts)
    if gate.verdict.colour is Colour.GREEN and survey is not None and survey.lost_server():
        with suppress(Unavailable):  # what was seen before counts
            survey.bring_back_server()
        statuses = survey.statuses(SessionState.STOPPED)
    if only_died and survey is not None and gate.verdict.colour is Colour.GREEN:
        # What was seen before counts; a signal ends the starts, which tell what became of all.
        with suppress(Unavailable, Interrupted):
            _await_ends(inventory, survey, interrupts)
        statuses = survey.statuses(SessionState.STOPPED)
    idle = {status.name for status in statuses if status.state is SessionState.STOPPED}
    if only is not None:
        idle &= set(only)
    if only_died and survey is not None:
        by_name = {session.name: session for session in inventory.sessions}
        idle = {name for name in idle if is_brought_back(by_name[name], survey.dead(name))}
    gate = _warned(gate, survey)
    if gate.verdict.colour is not Colour.GREEN or not idle or survey is None:
        return published_now(inventory, gate, statuses, environ, interrupts, keeper=keeper)
    from launcher.starting import Starting, all_conversations_locked  # a check starts nothing

    with all_conversations_locked(inventory, interrupts):
        starting = Starting(inventory, environ, interrupts, gate, survey)
        return _carried_out(starting, statuses, idle, keeper, survey)


def _await_ends(inventory: Inventory, survey: Survey, interrupts: Interrupts) -> None:
    """Look until nothing is left of what died and is to be brought back, for a few seconds.

    What a session started can outlive it for a moment, and nobody asks again later. Raises
    Interrupted, and Unavailable where it cannot be seen any more.
    """
    due = [
        session
        for session in inventory.sessions
        if not survey.alive(session.name) and is_brought_back(session, survey.dead(session.name))
    ]
    until = monotonic() + GRACE
    while monotonic() < until:
        states = {survey.status(session, SessionState.STOPPED).state for session in due}
        if SessionState.FAILED not in states:
            return
        interrupts.sleep(_PAUSE)
        survey.look()


def _carried_out(
    starting: Starting,
    statuses: list[SessionStatus],
    names: Collection[str],
    keeper: Process | None,
    survey: Survey,
) -> tuple[Gate, list[SessionStatus]]:
    """Start the sessions called *names*, between two publications."""
    inventory = starting.inventory
    reason = "green, and launcher up is starting sessions, or was killed at it"
    under_way = starting.gate.unknown(reason)
    tried = published(inventory, under_way, statuses, passing=True)
    if tried is not under_way:
        return tried, [status.held() for status in statuses]
    sessions = [session for session in inventory.sessions if session.name in names]
    statuses = starting.carry_out(sessions, statuses)
    # What the starts looked at last, right before each, is what they were green by. A red of later
    # would say that nothing was started (exit code 1); the next gate tells of it.
    gate = _warned(starting.gate, survey)
    return published(inventory, gate, statuses, keeper=keeper), statuses
