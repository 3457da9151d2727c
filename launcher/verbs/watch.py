"""``watch``: keeps the report true, until it is told to end."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager, closing, nullcontext
from typing import TYPE_CHECKING

from launcher.errors import ExitCode, Interrupted, NotJudged
from launcher.verbs.call import Call, Verb
from launcher.watch import ENDED

if TYPE_CHECKING:
    from launcher.listen import Listener
    from launcher.watch.claim import Claim

SOCKET = "listen.sock"
"""Where to listen, in the state directory, unless another address is named."""


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--ensure-sessions",
        action="store_true",
        help="also start sessions that do not run, while green",
    )
    parser.add_argument(
        "--listen",
        metavar="ADDRESS",
        nargs="?",
        const=SOCKET,
        help="answer over HTTP at a Unix socket's path (listen.sock beside the report's state, "
        "where none is named), or at 127.0.0.1:PORT",
    )
    parser.add_argument(
        "--ended",
        action="store_true",
        help="only say in a green report that no watch keeps it true any more, unless one lives "
        "that does (for ExecStopPost=)",
    )


def run(call: Call) -> int:
    """Keep the report true until SIGTERM or SIGINT; SIGHUP reads the inventory anew.

    Raises Locked, before anything is changed, if another watch keeps it true already.
    """
    from launcher.watch.claim import PATIENCE, Claim, watcher

    if call.arguments.ended:
        from launcher.report import take_back

        if watcher(call.inventory) is None:
            take_back(call.inventory, ENDED)
        return ExitCode.OK
    with closing(Claim()) as claim:
        try:
            claim.take(call.inventory, call.interrupts.sleep, PATIENCE)
        except NotJudged:
            pass  # the service says so
        with _listening(call) as listener:
            _serve(call, listener, claim)
    return ExitCode.OK


def _listening(call: Call) -> AbstractContextManager[Listener | None]:
    if call.arguments.listen is None:
        return nullcontext()
    from launcher.listen import Listener, parse_address
    from launcher.reading import MAX_AGE

    inventory = call.inventory
    address = parse_address(call.arguments.listen, inventory.settings.state)
    max_age = max(MAX_AGE, 3 * inventory.watch.interval)
    return Listener(address, inventory.path, call.environ, call.output.message, max_age)


def _serve(call: Call, listener: Listener | None, claim: Claim) -> None:
    from launcher.watch.service import Service

    if listener is not None:
        call.output.message(f"listening on {listener.address}")
    with Service(
        call.inventory,
        call.environ,
        call.interrupts,
        call.output.message,
        claim,
        ensure_sessions=call.arguments.ensure_sessions,
        also=listener.keep if listener is not None else lambda: None,
        warn=lambda text: call.output.message(text, is_error=False),
    ) as service:
        try:
            service.run()
        except Interrupted:
            pass  # that is how it ends


# It takes the lock itself, for each publication.
VERB = Verb(_arguments, run, writes=False, reports=True)
