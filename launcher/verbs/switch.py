"""``switch``: a session and its conversation to another account."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from launcher.errors import WrongUsage
from launcher.verbs.call import Call, Verb, json_argument

if TYPE_CHECKING:
    from launcher.render import Painter


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("session", metavar="SESSION")
    parser.add_argument("account", nargs="?", metavar="ACCOUNT", help="where it goes on")
    parser.add_argument("--home", action="store_true", help="to the account of the inventory")
    parser.add_argument(
        "--without-conversation",
        action="store_true",
        help="also if its turns are missing: another conversation begins",
    )
    parser.add_argument("--dry-run", action="store_true", help="judge and plan, change nothing")
    json_argument(parser)


def run(call: Call) -> int:
    """Move a session and its conversation to another account."""
    from launcher.switch import switch

    asked = call.arguments
    known = {session.name: session for session in call.inventory.sessions}
    if asked.session not in known:
        there = ", ".join(known) or "none"
        raise WrongUsage(f"there is no session {asked.session}; there are {there}")
    session = known[asked.session]
    if (asked.account is None) != asked.home:
        raise WrongUsage("where to? either ACCOUNT or --home")
    account = call.account(session.home_account if asked.home else asked.account)
    done = switch(
        call.inventory,
        session,
        account,
        call.environ,
        call.interrupts,
        dry_run=asked.dry_run,
        without_conversation=asked.without_conversation,
    )

    def text(paint: Painter) -> str:
        from launcher.render import switch_text

        return switch_text(done, call.inventory, paint)

    call.print(done.as_json(call.inventory), text)
    call.interrupts.check()
    return done.exit_code


VERB = Verb(_arguments, run, reports=True, stops=True)
