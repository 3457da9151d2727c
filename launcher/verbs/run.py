"""``run``: the gate in front of a command that is started by hand."""

from __future__ import annotations

import argparse

from launcher.verbs.call import Call, Verb


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("account", metavar="ACCOUNT", help="whose home the command gets")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND …")


def run(call: Call) -> int:
    """Run the gate; on green, become the command. Its output is all that is seen then."""
    from launcher import boot
    from launcher.render import Painter, verdict_text
    from launcher.run import as_the_only_writer, become, environment, program_of, with_memory
    from launcher.verbs.verdict import CODES

    account, command = call.account(call.arguments.account), call.arguments.command
    command = command[1:] if command[:1] == ["--"] else command
    program = program_of(command, call.environ)
    gate, sessions = boot.check(call.inventory, call.environ, call.interrupts, call.child)
    if gate.verdict.colour == "green":
        inventory, environ, interrupts = call.inventory, call.environ, call.interrupts
        with as_the_only_writer(program, command, inventory, account, environ, interrupts):
            gate, sessions = boot.confirmed(inventory, gate, sessions, environ, interrupts)
            if gate.verdict.colour == "green":
                words = with_memory(program, command, inventory, account)
                become(program, words, environment(account, environ), interrupts)
    # Standard output is the command's: who reads it must not take a verdict for its words.
    call.output.message(verdict_text(gate, sessions, call.inventory, Painter(False)))
    call.interrupts.check()
    return CODES[gate.verdict.colour]


VERB = Verb(_arguments, run, reports=True)
