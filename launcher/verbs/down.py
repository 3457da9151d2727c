"""``down``: stops sessions."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from launcher.errors import ExitCode
from launcher.verbs.call import Call, Verb, json_argument

if TYPE_CHECKING:
    from launcher.render import Painter


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sessions", nargs="*", metavar="SESSION", help="default: all sessions")
    parser.add_argument(
        "--forget-host",
        metavar="HOST",
        help="stop nothing; forget that sessions may run on HOST, since a person has looked there",
    )
    json_argument(parser)


def run(call: Call) -> int:
    """Stop sessions."""
    from launcher.stop import down as stop
    from launcher.stop import forget_host

    names, host = call.arguments.sessions, call.arguments.forget_host
    if host is None:
        sessions = stop(call.inventory, names, call.environ, call.interrupts)
    else:
        sessions = forget_host(call.inventory, names, host, call.environ)

    def text(paint: Painter) -> str:
        from launcher.render import sessions_block

        return sessions_block(sessions, paint) + "\n" if sessions else "no session runs\n"

    call.print({"sessions": [session.as_report() for session in sessions]}, text)
    call.interrupts.check()
    failed = any(session.state == "failed" for session in sessions)
    return ExitCode.UNAVAILABLE if failed else ExitCode.OK


VERB = Verb(_arguments, run, stops=True)
