"""``ensure``: creates missing targets and links, or refuses."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from launcher.errors import ExitCode, WrongUsage
from launcher.verbs.call import Call, Verb, json_argument

if TYPE_CHECKING:
    from launcher.render import Painter


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("accounts", nargs="*", metavar="ACCOUNT", help="default: all accounts")
    parser.add_argument("--create-homes", action="store_true", help="create missing homes too")
    parser.add_argument("--dry-run", action="store_true", help="print the plan, write nothing")
    json_argument(parser)


def run(call: Call) -> int:
    """Create missing targets and links, or refuse."""
    from launcher import provision
    from launcher.remembered import begun

    names, known = call.arguments.accounts, {one.name: one for one in call.inventory.accounts}
    if unknown := [name for name in names if name not in known]:
        raise WrongUsage(f"there is no account {', '.join(unknown)}; there are {', '.join(known)}")
    accounts = [known[name] for name in dict.fromkeys(names)] or list(known.values())
    refused: Sequence[Any] = ()
    try:
        actions: Sequence[provision.Action] = provision.ensure(
            accounts,
            call.inventory.links,
            create_homes=call.arguments.create_homes,
            dry_run=call.arguments.dry_run,
            option=call.option,
            timeout=call.inventory.settings.timeout,
            known=call.inventory.accounts,
            remembered=begun(call.inventory.settings.state),
            interrupts=call.interrupts,
        )
    except provision.EntriesRefused as error:
        actions, refused = error.done, error.findings

    def text(paint: Painter) -> str:
        from launcher.render import ensure_text

        return ensure_text(actions, refused, call.inventory, call.arguments.dry_run, paint)

    document = {
        "dry_run": call.arguments.dry_run,
        "created": [action.as_json() for action in actions],
        "refused": [finding.as_json() for finding in refused],
    }
    call.print(document, text)
    return ExitCode.RED if refused else ExitCode.OK


VERB = Verb(_arguments, run)
