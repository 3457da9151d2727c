"""``ensure``: creates missing targets and links, and refuses everything else.

All is looked at before anything is written, by a process that can be given up on: a dead mount
hangs whoever touches it. One refusal, and nothing is written. What is written is written by
mkdir(2) and symlink(2), neither of which replaces anything, not even in a race.
"""

import os
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import NamedTuple

from invariants.entries import judge_entry, leads_over_its_target
from invariants.finding import Finding
from invariants.fixes import noted
from invariants.homes import Homes
from invariants.inventory import Account, Link
from invariants.links import LinkState
from invariants.places import Places
from invariants.targets import Targets
from invariants.vanished import together
from launcher.bounded import bounded
from launcher.errors import Refused
from launcher.interrupts import Interrupts

TIMEOUT = 30.0
"""Seconds for one look at homes and targets, where no inventory says how many."""


class Action(NamedTuple):
    """One thing to create: a directory (mode 0700), or a symlink where ``text`` is given."""

    path: str
    text: str | None = None

    def as_json(self) -> dict[str, str | None]:
        """Return the path, and the link's text where it is a link."""
        return {"path": self.path, "text": self.text}

    def __str__(self) -> str:
        """Say what is created."""
        return f"directory {self.path}" if self.text is None else f"{self.path} -> {self.text}"


class EntriesRefused(Refused):
    """Entries, homes or targets that ``ensure`` does not touch, all of them."""

    def __init__(self, findings: Iterable[Finding], done: Iterable[Action] = ()) -> None:
        self.findings = tuple(findings)
        self.done = tuple(done)
        super().__init__("\n".join(map(str, self.findings)))


def ensure_for_account(
    account: Account,
    links: Iterable[Link],
    *,
    create_homes: bool = False,
    dry_run: bool = False,
    option: str = "",
    timeout: float = TIMEOUT,
) -> list[Action]:
    """Create what is missing for one account: its links, and their targets.

    Returns what was created (with *dry_run*: what would be), nothing where all is right.
    Raises EntriesRefused, with everything that stands in the way, before anything is written;
    NotJudged where homes and targets cannot be looked at within *timeout* seconds. *option* is
    what a pasted ``launcher`` command needs to reach the same inventory. Works in any thread.
    """
    return ensure(
        [account],
        links,
        create_homes=create_homes,
        dry_run=dry_run,
        option=option,
        timeout=timeout,
    )


def ensure(
    accounts: Iterable[Account],
    links: Iterable[Link],
    *,
    create_homes: bool = False,
    dry_run: bool = False,
    option: str = "",
    timeout: float = TIMEOUT,
    known: Iterable[Account] | None = None,
    remembered: str | None = None,
    interrupts: Interrupts | None = None,
) -> list[Action]:
    """Create what is missing for all *accounts*; otherwise as :func:`ensure_for_account`.

    *known* are all accounts of the inventory, where *accounts* are only some: a home or target
    may lie inside another's home. *remembered* is a record that tells that there have been
    transcripts: then nothing new takes the place of all that stood with them. Raises Interrupted
    for a signal that *interrupts* notes while homes and targets are looked at; without
    *interrupts*, signals do what they did before.
    """
    accounts, links = list(accounts), list(links)
    places = accounts if known is None else list(known)
    with nullcontext(interrupts) if interrupts else Interrupts(signals=()) as noted:

        def plan(create_homes: bool) -> Plan:
            return bounded(
                lambda: _plan(
                    accounts, links, Places(places, links), create_homes, option, remembered
                ),
                timeout,
                noted,
            )

        actions, findings = plan(create_homes)
        if findings:
            raise EntriesRefused(findings)
        return actions if dry_run else _carry_out(actions, plan, option)


Plan = tuple[list[Action], list[Finding]]
"""What to create, and what stands in the way."""


def _plan(
    accounts: list[Account],
    links: list[Link],
    places: Places,
    create_homes: bool,
    option: str,
    remembered: str | None = None,
) -> Plan:
    homes, targets = Homes(option, places), Targets(option, places)
    actions, findings = _plan_of_targets(links, targets, remembered)
    for account in accounts:
        fault = homes.fault(account)
        if fault is not None:
            missing = fault.finding.state == "missing" and not os.path.islink(account.home)
            if create_homes and missing:
                actions += _directories(account.home, actions)
            else:
                findings.append(fault.finding)
                if fault.hides_entries:
                    continue
        for link in links:
            finding = judge_entry(account, link, option)
            if finding is None:
                continue
            if finding.state == LinkState.MISSING:
                actions.append(Action(account.entry(link), link.target))
            elif targets.fault(link) is None or not leads_over_its_target(account, link):
                findings.append(finding)
    return actions, findings


def _plan_of_targets(links: list[Link], targets: Targets, remembered: str | None) -> Plan:
    actions: list[Action] = []
    findings: list[Finding] = []
    for link in links:
        finding = targets.fault(link)
        if finding is None:
            continue
        if finding.state != "missing":
            findings.append(finding)
        elif remembered and _holds_all_transcripts(link, links):
            findings.append(targets.vanished(link, remembered))
        else:
            actions += _directories(link.target, actions)
    return actions, findings


def _holds_all_transcripts(link: Link, links: list[Link]) -> bool:
    """Tell whether what is missing together with the target of *link* includes the transcripts."""
    return any(one.name == "projects" for one in together(link, links) or ())


def _directories(path: str, planned: list[Action]) -> list[Action]:
    """Return the directories to create for *path*, outermost first, without those planned."""
    known = {action.path for action in planned}
    missing: list[Action] = []
    while not os.path.lexists(path) and path not in known:
        missing.append(Action(path))
        path = os.path.dirname(path)
    return missing[::-1]


def _carry_out(actions: list[Action], plan: Callable[[bool], Plan], option: str) -> list[Action]:
    done: list[Action] = []
    errors: list[Finding] = []
    failed: list[str] = []
    for action in actions:
        if any(_rests_on(action, path) for path in failed):
            continue  # one cause, one refusal
        try:
            if action.text is None:
                os.mkdir(action.path, 0o700)
            else:
                os.symlink(action.text, action.path)
        except FileExistsError:
            continue  # somebody was faster; whether it is right is asked below
        except OSError as error:
            errors.append(_could_not(action, error, option))
            failed.append(action.path)
        else:
            done.append(action)
    if not errors and len(done) < len(actions):
        left, errors = plan(False)
        vanished = FileExistsError("it came and went")
        errors += [_could_not(action, vanished, option) for action in left]
    if errors:
        raise EntriesRefused(errors, done)
    return done


def _rests_on(action: Action, path: str) -> bool:
    """Tell whether *action* needs *path*: to create something in it, or to lead to it."""
    return any(f"{end}/".startswith(f"{path}/") for end in (action.path, action.text) if end)


def _could_not(action: Action, error: OSError, option: str) -> Finding:
    return Finding(
        invariant="ensure",
        state="not-created",
        expected=str(action),
        found=error.strerror or str(error),
        fix=noted(f"launcher ensure{option}", "first mend what is found"),
    )
