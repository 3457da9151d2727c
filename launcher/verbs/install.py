"""``install``: systemd's units in place, or away."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from launcher.errors import ExitCode
from launcher.verbs.call import Call, Verb, json_argument

if TYPE_CHECKING:
    from launcher.render import Painter


def _arguments(parser: argparse.ArgumentParser) -> None:
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument("--for", dest="owner", metavar="USER", help="whose sessions they are")
    whose.add_argument("--user", action="store_true", help="your own units, without root")
    parser.add_argument("--network", action="store_true", help="start once the network is up")
    parser.add_argument("--watch", action="store_true", help="a watch instead of the check timer")
    parser.add_argument("--remove", action="store_true", help="take the units away again")
    parser.add_argument("--dry-run", action="store_true", help="print the plan, write nothing")
    json_argument(parser)


def run(call: Call) -> int:
    """Put systemd's units in place, or take them away."""
    from launcher import install as units

    asked = call.arguments
    owner = units.owner_of(asked.owner, asked.user, call.environ)
    refused: Sequence[Any] = ()
    unfit: Sequence[Any] = ()
    try:
        if asked.remove:
            changes = units.remove(owner, call.environ, dry_run=asked.dry_run)
        else:
            inventory = units.as_read_by(owner, call.inventory.path)
            changes = units.install(
                inventory,
                owner,
                call.environ,
                network=asked.network,
                watch=asked.watch,
                dry_run=asked.dry_run,
            )
            unfit = units.not_found_at_boot(inventory, owner)
    except units.UnitsRefused as error:
        changes, refused = [], error.findings

    def text(paint: Painter) -> str:
        from launcher.render import install_text

        return install_text(changes, refused, unfit, asked.dry_run, paint)

    document = {
        "dry_run": asked.dry_run,
        "changes": [change.as_json() for change in changes],
        "refused": [finding.as_json() for finding in refused],
        "red_at_boot": [finding.as_json() for finding in unfit],
    }
    call.print(document, text)
    return ExitCode.RED if refused else ExitCode.OK


VERB = Verb(_arguments, run, writes=False, keeps_state=False)
