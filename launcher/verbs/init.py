"""``init``: proposes an inventory from the homes that it finds, and overwrites none."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from launcher.errors import ExitCode
from launcher.verbs.call import Call, Verb, json_argument

if TYPE_CHECKING:
    from launcher.render import Painter


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="print the proposal, write nothing")
    json_argument(parser)


def run(call: Call) -> int:
    """Propose an inventory and write it, unless there is one."""
    from launcher import initial

    dry_run = call.arguments.dry_run
    path = initial.place(call.arguments.inventory, call.environ)
    if not dry_run:
        initial.refuse_existing(path, call.environ)
    made = initial.initial(path, call.environ)
    if not dry_run:
        initial.write(made)

    def text(paint: Painter) -> str:
        return made.text if dry_run else initial.told(made, call.environ)

    document = {"inventory": path, "written": not dry_run, **made.proposal.as_json()}
    call.print({**document, "text": made.text}, text)
    return ExitCode.OK


VERB = Verb(
    _arguments,
    run,
    writes=False,  # nothing that the lock is for
    inventory=False,
)
