"""One run of all invariants, in a child process of its own, under a time limit, judged."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from invariants.checks import Check, expected_checks
from invariants.inventory import Inventory, inventory_option
from launcher.early import Started
from launcher.errors import Interrupted
from launcher.interrupts import Interrupts, Waiting
from launcher.pytest_child import Run, run
from launcher.second_look import still_green
from launcher.verdict import Colour, Gate, Verdict, judge
from launcher.warned import warned_of

TROUBLE = (OSError, MemoryError, ValueError, subprocess.SubprocessError)
"""What can go wrong with a run that is no fault of this program's."""


def validate_all(
    inventory: Inventory,
    *,
    environ: Mapping[str, str] = os.environ,
    interrupts: Interrupts | None = None,
    child: Started | None = None,
) -> Gate:
    """Run every invariant that *inventory* calls for and judge the run: all accounts, all problems.

    If all hold, homes, links, targets and sessions are looked at again, without pytest. Takes at
    most the inventory's ``timeout``, and three seconds: one for that look after a gate that took
    all of its time, two to end what hangs. Never raises for what goes wrong with the run: that is
    the verdict unknown, with its reason. A signal while it runs, noted by *interrupts*, is such a
    reason too; without them signals do what they did before, and any thread may call. *child* is
    one that was started beforehand, and is the caller's. Nothing is published.
    """
    if interrupts is None:
        with Interrupts(signals=()) as nothing:
            return validate_all(inventory, environ=environ, interrupts=nothing, child=child)
    gate = run_all(inventory, environ, interrupts, child)
    return still_green(gate, inventory, environ, interrupts)


def run_all(
    inventory: Inventory,
    environ: Mapping[str, str],
    interrupts: Interrupts,
    child: Started | None = None,
) -> Gate:
    """Return what :func:`validate_all` does, without the second look at the end.

    That is for a caller who does other work before the verdict is published, and looks then.
    """
    started, clock = time.time(), time.monotonic()
    outcome: Run | Exception
    try:
        with ExitStack() as opened:
            child = child or opened.enter_context(Started(environ))
            given = pickle.dumps(inventory)
            outcome = run(child, given, inventory.settings.timeout, interrupts)
    except (*TROUBLE, Interrupted) as error:
        outcome = error
    seconds = time.monotonic() - clock
    return judged(inventory, environ, outcome, started, seconds, interrupts)


def judged(
    inventory: Inventory,
    environ: Mapping[str, str],
    outcome: Run | Exception,
    started: float,
    seconds: float,
    waiting: Waiting,
) -> Gate:
    """Judge a run that began at *started* (epoch seconds) and took *seconds*; or what ended it.

    The operator's own invariants, if the inventory names any, are run here, in the time that is
    left, with *waiting* for what has to be done meanwhile: no verdict is made without them.
    """
    expected = expected_checks(inventory, environ)
    option = inventory_option(inventory.path, environ)
    document: dict[str, Any] = {}
    if isinstance(outcome, Interrupted):
        verdict = Verdict(Colour.UNKNOWN, str(outcome))
    elif isinstance(outcome, Exception):
        verdict = Verdict(Colour.UNKNOWN, f"the gate could not be run: {outcome!r}")
    elif outcome.status is None:
        reason = f"no verdict within {inventory.settings.timeout:g} s"
        if outcome.current in expected:
            reason += f", hung at {_subject(expected[outcome.current], inventory)}"
        verdict = Verdict(Colour.UNKNOWN, reason)
    else:
        document = _parsed(outcome.document)
        verdict = judge(outcome.status, document, expected, option)
        if verdict.colour is Colour.UNKNOWN and not document and outcome.output:
            verdict = verdict._replace(reason=f"{verdict.reason} ({outcome.output})")
    if not verdict.expected:
        verdict = verdict._replace(expected=len(expected))
    warnings = warned_of(document, expected, option)
    gate = Gate(verdict, document, started, started + seconds, warnings)
    if not inventory.settings.invariants:
        return gate
    from launcher.own import with_own  # who has none does not pay for it

    clock = time.monotonic()
    until = clock + inventory.settings.timeout - seconds
    gate = with_own(gate, inventory, environ, waiting, until)
    return gate._replace(finished=gate.finished + time.monotonic() - clock)


def _subject(check: Check, inventory: Inventory) -> str:
    """Say what a check looks at, with the path that a person would look at next."""
    if check.session is not None:
        paths = [one.directory for one in inventory.sessions if one.name == check.session]
        return f"session {check.session} ({paths[0]})"
    if check.account is not None:
        return f"{check.account} {check.link or 'home'} ({inventory.account(check.account).home})"
    paths = [link.target for link in inventory.links if link.name == check.link]
    return f"target of {check.link} ({paths[0]})" if paths else check.invariant


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
