"""The command line: parse, load the inventory, call a verb, return its code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Container
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from launcher import __version__
from launcher.errors import (
    EXIT_CODES,
    ExitCode,
    Interrupted,
    LauncherError,
    Locked,
    Refused,
    Unavailable,
    WrongInventory,
    WrongUsage,
)
from launcher.interrupts import Interrupts
from launcher.output import Output
from launcher.verbs import VERBS, Call, Verb, verb

if TYPE_CHECKING:
    from launcher.early import Started

_EXIT_CODES = "exit codes:\n" + "".join(
    f"  {code.value:2}  {meaning}\n" for code, meaning in EXIT_CODES.items()
)


def main(argv: list[str] | None = None, child: Started | None = None) -> int:
    """Run one verb and return its exit code; the process's arguments where *argv* is None.

    *child* is the gate's, where it has been started already: it is the caller's.
    """
    words = sys.argv[1:] if argv is None else argv
    arguments = parser(words).parse_args(words)
    output = Output()
    code: int
    try:
        with Interrupts() as interrupts:
            code = _run(arguments, interrupts, output, child)
    except Interrupted as error:
        output.message(str(error))
        code = 128 + error.signal_number
    except LauncherError as error:
        output.message(str(error))
        code = error.code
    except (ImportError, SyntaxError):
        raise  # not installed as a whole: the caller says so
    except Exception as error:
        # Not a state of the VM but a fault of ours: unknown, and told in full.
        import traceback

        output.message(f"a fault of claude-failover, please report it: {error!r}")
        output.message(traceback.format_exc())
        code = ExitCode.UNKNOWN
    return output.exit_code(int(code))


def parser(words: Container[str] = VERBS) -> argparse.ArgumentParser:
    """Return the parser of the command line; a usage error exits with 2.

    Where the line's *words* are given, a verb that is not among them is a name only: such a line
    cannot call it, and what it takes is not loaded.
    """
    top = argparse.ArgumentParser(
        prog="launcher",
        description="Starts Claude Code sessions, and only where every invariant of the VM holds.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"claude-failover {__version__}")
    top.add_argument("--inventory", metavar="PATH", help="the inventory, failover.toml")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True, prog=top.prog)
    for name, told in VERBS.items():
        asked = name in words
        sub = verbs.add_parser(
            name, help=told, description=told, allow_abbrev=False, add_help=asked
        )
        if asked:
            sub.add_argument(
                "--inventory", metavar="PATH", default=argparse.SUPPRESS, help=argparse.SUPPRESS
            )
            verb(name).add_arguments(sub)
    return top


def _run(
    arguments: argparse.Namespace, interrupts: Interrupts, output: Output, child: Started | None
) -> int:
    asked = verb(arguments.verb)
    if not asked.inventory:
        return asked.run(Call(arguments, None, os.environ, interrupts, output))
    if asked.stops:
        from launcher.sessions.systemd import leave_session

        leave_session(os.environ)
    with ExitStack() as opened:
        if child is None and asked.reports and asked.writes:
            from launcher.early import Started

            with suppress(OSError):  # the gate tries again, and says what is wrong
                child = opened.enter_context(Started(os.environ))
        return _call(asked, arguments, interrupts, output, child)


def _call(
    asked: Verb,
    arguments: argparse.Namespace,
    interrupts: Interrupts,
    output: Output,
    child: Started | None,
) -> int:
    from invariants.inventory import InventoryError, load, locate
    from launcher.trusted import loaded

    try:
        path = locate(arguments.inventory, os.environ)
        inventory = loaded(path, asks=asked.asks) if asked.keeps_state else load(path)
    except InventoryError as error:
        if asked.reports:
            from launcher.report import disown

            disown(error)
        code = asked.run_without(arguments, error, output) if asked.run_without else None
        if code is not None:
            return code
        raise WrongInventory(str(error)) from error

    def called() -> int:
        # Once the lock is held: another launcher may just have switched a session.
        from launcher.placements import placed

        call = Call(arguments, placed(inventory), os.environ, interrupts, output, child)
        return asked.run(call)

    if not asked.writes or getattr(arguments, "dry_run", False):
        return called()
    from invariants.schema import DEFAULT_STATE
    from launcher.lock import locked

    try:
        default = os.path.expanduser(DEFAULT_STATE)
        with locked(inventory.settings.state, arguments.verb, interrupts, also=default):
            return called()
    except (Locked, Interrupted, Refused, WrongUsage, Unavailable):
        raise
    except Exception as error:
        if asked.reports:  # whatever it was: what an earlier gate published is not today's truth
            from launcher.report import announce

            announce(inventory, str(error), passing=False)
        raise
