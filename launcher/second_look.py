"""A second opinion on a green gate: the launcher looks itself, without pytest.

Own invariants take seconds, and the gate's child may have been waited for: what the gate saw is old
by then. And the invariants' tests may have been tampered with. So nothing that the launcher
publishes or acts on is green without this look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Self

from invariants.checks import expected_checks
from invariants.finding import Finding
from invariants.inventory import Inventory, Session, inventory_option
from invariants.judgement import judge_all, judge_sessions
from invariants.places import Places
from launcher.bounded import Look, bounded
from launcher.errors import Interrupted, NotJudged
from launcher.interrupts import Waiting
from launcher.verdict import Colour, Failure, Gate, Verdict

_LEAST = 1.0
"""Seconds that a look has after a gate that took all of its time."""


def looked_again(
    gate: Gate,
    inventory: Inventory,
    environ: Mapping[str, str],
    waiting: Waiting,
    *,
    session: Session | None = None,
    seconds: float | None = None,
) -> Gate:
    """Look at accounts, targets and sessions; return *gate* itself if all is well with them.

    Those are all of the inventory's, or *session*, its account and all targets. Else the gate is
    red by now, or unknown if they do not answer within *seconds*, by default the inventory's
    ``timeout``. Raises what *waiting* raises: Interrupted.
    """
    limit = inventory.settings.timeout if seconds is None else seconds
    try:
        findings = bounded(_look(inventory, environ, session), limit, waiting)
    except NotJudged as error:
        return gate.unknown(str(error))
    return _with(gate, findings, inventory, environ)


def still_green(
    gate: Gate, inventory: Inventory, environ: Mapping[str, str], waiting: Waiting
) -> Gate:
    """Look at all of the inventory if *gate* is green; return it as it is known now.

    The look has what the gate left of the inventory's ``timeout``, and a second at least. A signal
    makes it unknown, as one does that comes during the gate.
    """
    if gate.verdict.colour is not Colour.GREEN:
        return gate
    left = inventory.settings.timeout - (gate.finished - gate.started)
    try:
        return looked_again(gate, inventory, environ, waiting, seconds=max(left, _LEAST))
    except Interrupted as error:
        return gate.unknown(str(error))


class SecondLook:
    """A look at all of an inventory beside other work. A context manager, which ends it."""

    def __init__(self, inventory: Inventory, environ: Mapping[str, str]) -> None:
        self._inventory = inventory
        self._environ = environ
        self._look: Look[list[Finding]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._look is not None:
            self._look.end()

    def begin(self) -> None:
        """Begin, unless it has begun. It has the inventory's ``timeout``. Raises NotJudged."""
        if self._look is None:
            call = _look(self._inventory, self._environ)
            self._look = Look(call, self._inventory.settings.timeout)

    def confirmed(self, gate: Gate, wait: Callable[[list[int], float], object]) -> Gate:
        """Return *gate*; a green one is red or unknown if the look does not find all well.

        It begins now if it has not. *wait* waits for a descriptor until a moment of the monotonic
        clock.
        """
        if gate.verdict.colour is not Colour.GREEN:
            return gate
        try:
            self.begin()
            assert self._look is not None
            wait([self._look.descriptor], self._look.limit)
            findings = self._look.result()
        except NotJudged as error:
            return gate.unknown(str(error))
        return _with(gate, findings, self._inventory, self._environ)


def _look(
    inventory: Inventory, environ: Mapping[str, str], session: Session | None = None
) -> Callable[[], list[Finding]]:
    """Return what is to be called where it can be given up on."""
    option, links = inventory_option(inventory.path, environ), inventory.links
    accounts, sessions = inventory.accounts, inventory.sessions
    if session is not None:
        accounts, sessions = (inventory.account(session.account),), (session,)

    def look() -> list[Finding]:
        places = Places(inventory.accounts, links)
        findings = list(judge_all(accounts, links, places, option))
        broken = {one.link for one in findings if one.link is not None and one.account is None}
        return [*findings, *judge_sessions(sessions, inventory, broken)]

    return look


def _with(
    gate: Gate, findings: Sequence[Finding], inventory: Inventory, environ: Mapping[str, str]
) -> Gate:
    if not findings:
        return gate
    return gate._replace(verdict=_contradicted(gate.verdict, findings, inventory, environ))


def _contradicted(
    verdict: Verdict,
    findings: Sequence[Finding],
    inventory: Inventory,
    environ: Mapping[str, str],
) -> Verdict:
    """Return the gate's *verdict*, turned red by what was seen since."""
    nodeids = {
        (check.invariant, check.account, check.link, check.session): nodeid
        for nodeid, check in expected_checks(inventory, environ).items()
    }
    failures = tuple(
        Failure(nodeids[one.invariant, one.account, one.link, one.session], one) for one in findings
    )
    passed = verdict.passed - len(failures)
    return verdict._replace(colour=Colour.RED, failures=failures, passed=passed)
