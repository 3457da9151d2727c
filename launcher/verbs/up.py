"""``up``: the gate, and on green the sessions."""

from __future__ import annotations

import argparse

from launcher.errors import ExitCode
from launcher.verbs.call import Call, Verb, json_argument


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--died", action="store_true", help="only what died, where its `restart` asks for it"
    )
    json_argument(parser)


def run(call: Call) -> int:
    """Run the gate; on green start what does not run."""
    from launcher import boot
    from launcher.verbs.verdict import tell

    gate, sessions = boot.up(
        call.inventory,
        call.environ,
        call.interrupts,
        call.child,
        only_died=call.arguments.died,
    )
    code = tell(call, gate, sessions)
    if code == ExitCode.OK and any(session.state == "failed" for session in sessions):
        return ExitCode.UNAVAILABLE
    return code


VERB = Verb(_arguments, run, reports=True)
