"""The page of many VMs: what does not hold on which of them, and VMs × invariants."""

from __future__ import annotations

import time

from launcher.fleet.model import Fleet, Standing
from launcher.fleet.text import names, sessions
from launcher.formats.words import fields, warning_fields
from launcher.page import FOLDED, LISTED, drawn

_SIGNS = {Standing.RED: "✗", Standing.UNKNOWN: "?", Standing.NOT_UP: "!", Standing.GREEN: "✓"}
_TONES = {Standing.RED: "red", Standing.GREEN: "green"}


def fleet_page(fleet: Fleet, now: float | None = None) -> str:
    """Return the page for *fleet*, as of *now*.

    With many VMs those that are green are folded away; with very many only their names are told.
    """
    green = [vm for vm in fleet.vms if vm.standing is Standing.GREEN]
    folded = green if len(fleet.vms) > FOLDED else []
    return drawn(
        "fleet.html.jinja",
        time.time() if now is None else now,
        sign=_SIGNS[fleet.standing],
        tone=_TONES.get(fleet.standing, "unknown"),
        word=fleet.standing.word,
        summary=fleet.summary,
        fleet=fleet,
        failures=[(one, names(one.vms), fields(one.finding)) for one in fleet.shared[:LISTED]],
        more=len(fleet.shared[LISTED:]),
        warnings=[
            (one, names(one.vms), warning_fields(one.finding)) for one in fleet.warnings[:LISTED]
        ],
        more_warnings=len(fleet.warnings[LISTED:]),
        shown=fleet.vms[: len(fleet.vms) - len(folded)],
        folded=folded[:LISTED],
        named=[vm.name for vm in folded[LISTED:]],
        doubtful=[vm for vm in fleet.vms if vm.note or vm.standing is Standing.UNKNOWN],
        not_expected=names(fleet.unexpected),
        signs=_SIGNS,
        sessions=sessions,
    )
