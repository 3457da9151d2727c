"""A second opinion on a green gate, right before a start: the launcher looks itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from invariants.checks import expected_checks
from invariants.finding import Finding
from invariants.inventory import Account, Inventory, inventory_option
from invariants.judgement import judge_all
from invariants.places import Places
from launcher.bounded import bounded
from launcher.errors import NotJudged
from launcher.interrupts import Interrupts
from launcher.verdict import Colour, Failure, Gate, Verdict


def looked_again(
    gate: Gate,
    accounts: Sequence[Account],
    inventory: Inventory,
    environ: Mapping[str, str],
    interrupts: Interrupts,
) -> Gate:
    """Look at *accounts* and at all targets; return *gate* itself if all is well with them.

    Else it is red by now, or unknown where they do not answer within the inventory's ``timeout``.
    Raises Interrupted.
    """
    option = inventory_option(inventory.path, environ)
    links, seconds = inventory.links, inventory.settings.timeout

    def look() -> list[Finding]:
        return list(judge_all(accounts, links, Places(inventory.accounts, links), option))

    try:
        findings = bounded(look, seconds, interrupts)
    except NotJudged as error:
        return gate.unknown(str(error))
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
        (check.invariant, check.account, check.link): nodeid
        for nodeid, check in expected_checks(inventory, environ).items()
    }
    failures = tuple(
        Failure(nodeids[finding.invariant, finding.account, finding.link], finding)
        for finding in findings
    )
    passed = verdict.passed - len(failures)
    return verdict._replace(colour=Colour.RED, failures=failures, passed=passed)
