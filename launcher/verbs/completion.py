"""``completion``: what a shell sources to complete verbs, options and the inventory's names."""

from __future__ import annotations

import argparse

from launcher.completion import KINDS, SHELLS
from launcher.errors import ExitCode, WrongUsage
from launcher.verbs.call import Call, Verb


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", nargs="?", choices=SHELLS, help="the shell that sources it")
    # What the scripts ask when a name is to be completed; not for people.
    parser.add_argument("--names", choices=KINDS, help=argparse.SUPPRESS)


def run(call: Call) -> int:
    """Print a shell's completion script, or the names that one of them asks for."""
    asked = call.arguments
    if asked.names is not None:
        call.output.result("".join(f"{name}\n" for name in _names(call, asked.names)))
        return ExitCode.OK
    if asked.shell is None:
        raise WrongUsage(f"for which shell? {', '.join(SHELLS)}")
    from launcher.cli import parser
    from launcher.completion import script

    call.output.result(script(parser(), asked.shell))
    return ExitCode.OK


def _names(call: Call, kind: str) -> list[str]:
    """Return the names of a kind; none where the inventory cannot say."""
    if kind == "words":
        from launcher.explain import topics

        return sorted({topic.name for topic in topics()})
    from invariants.inventory import InventoryError, load, locate

    try:
        inventory = load(locate(call.arguments.inventory, call.environ))
    except InventoryError:
        return []  # whoever presses TAB wants no lecture; any other verb gives it
    return [one.name for one in getattr(inventory, kind)]


VERB = Verb(_arguments, run, writes=False, inventory=False)
