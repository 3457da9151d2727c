"""The command line: parse, load the inventory, call a verb, return its code."""

from __future__ import annotations

import argparse
import os
import traceback

from invariants.inventory import InventoryError, load, locate
from launcher import __version__
from launcher.errors import ExitCode, Interrupted, LauncherError, Locked, WrongInventory
from launcher.interrupts import Interrupts
from launcher.output import Output, open_standard_descriptors
from launcher.verbs import VERBS, Call

_EXIT_CODES = """\
exit codes:
   0  green, and what was asked is done
   1  red: an invariant does not hold, or an entry was refused
   2  usage
  69  green, but a session is not up
  70  unknown: the gate could not be carried out
  75  another launcher is at work
  78  the inventory is wrong or missing
"""


def main(argv: list[str] | None = None) -> int:
    """Run one verb and return its exit code; the process's arguments where *argv* is None."""
    open_standard_descriptors()
    arguments = parser().parse_args(argv)
    output = Output()
    code: int
    try:
        with Interrupts() as interrupts:
            code = _run(arguments, interrupts, output)
    except Interrupted as error:
        output.message(str(error))
        code = 128 + error.signal_number
    except LauncherError as error:
        output.message(str(error))
        code = error.code
    except Exception as error:
        # Not a state of the VM but a fault of ours: unknown, and told in full.
        output.message(f"a fault of claude-failover, please report it: {error!r}")
        output.message(traceback.format_exc())
        code = ExitCode.UNKNOWN
    return output.exit_code(int(code))


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; a usage error exits with 2."""
    top = argparse.ArgumentParser(
        prog="launcher",
        description="Starts Claude Code sessions, and only where every invariant of the VM holds.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"claude-failover {__version__}")
    top.add_argument("--inventory", metavar="PATH", help="the inventory, failover.toml")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, verb in VERBS.items():
        sub = verbs.add_parser(name, help=verb.help, description=verb.help, allow_abbrev=False)
        sub.add_argument(
            "--inventory", metavar="PATH", default=argparse.SUPPRESS, help=argparse.SUPPRESS
        )
        verb.add_arguments(sub)
    return top


def _run(arguments: argparse.Namespace, interrupts: Interrupts, output: Output) -> int:
    verb = VERBS[arguments.verb]
    try:
        inventory = load(locate(arguments.inventory, os.environ))
    except InventoryError as error:
        if verb.reports:
            from launcher.report import disown

            disown(error)
        raise WrongInventory(str(error)) from error
    call = Call(arguments, inventory, os.environ, interrupts, output)
    if not verb.writes or getattr(arguments, "dry_run", False):
        return verb.run(call)
    from launcher.lock import locked

    try:
        with locked(inventory.settings.state, arguments.verb, interrupts):
            return verb.run(call)
    except (Locked, Interrupted):
        raise
    except Exception as error:
        if verb.reports:  # whatever it was: what an earlier gate published is not today's truth
            from launcher.report import announce

            announce(inventory, str(error))
        raise
