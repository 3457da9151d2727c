"""What each verb takes and does. A verb imports what it needs when it is called, not before."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from invariants.inventory import Inventory, inventory_option
from launcher.errors import ExitCode, WrongUsage
from launcher.interrupts import Interrupts
from launcher.output import Output

if TYPE_CHECKING:
    from launcher.gate import Gate
    from launcher.render import Painter
    from launcher.sessions import SessionStatus


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a verb: its arguments, what it acts on, and where its result goes."""

    arguments: argparse.Namespace
    inventory: Inventory
    environ: Mapping[str, str]
    interrupts: Interrupts
    output: Output

    @property
    def option(self) -> str:
        """What a pasted command needs to reach the same inventory."""
        return inventory_option(self.inventory.path, self.environ)

    def print(self, as_json: Any, as_text: Callable[[Painter], str]) -> None:
        """Print a result: as JSON where ``--json`` asks for it, else as text."""
        if self.arguments.json:
            self.output.result(json.dumps(as_json, indent=2) + "\n")
            return
        from launcher.render import Painter, wants_colour

        is_terminal = sys.stdout is not None and sys.stdout.isatty()
        self.output.result(as_text(Painter(wants_colour(is_terminal, self.environ))))


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb: its help, its arguments, its function; whether it writes, and writes the report."""

    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[Call], int]
    writes: bool = True
    reports: bool = False


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def _ensure_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("accounts", nargs="*", metavar="ACCOUNT", help="default: all accounts")
    parser.add_argument("--create-homes", action="store_true", help="create missing homes too")
    parser.add_argument("--dry-run", action="store_true", help="print the plan, write nothing")
    _json(parser)


def _down_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sessions", nargs="*", metavar="SESSION", help="default: all sessions")
    _json(parser)


def check(call: Call) -> int:
    """Run the gate, publish the report, start nothing."""
    from launcher import boot
    from launcher.report import published

    gate, sessions = boot.check(call.inventory, call.environ, call.interrupts)
    gate = published(call.inventory, gate, sessions)
    return _tell(call, gate, sessions)


def up(call: Call) -> int:
    """Run the gate; on green start what does not run."""
    from launcher import boot

    gate, sessions = boot.up(call.inventory, call.environ, call.interrupts)
    code = _tell(call, gate, sessions)
    if code == ExitCode.OK and any(session.state == "failed" for session in sessions):
        return ExitCode.UNAVAILABLE
    return code


def _tell(call: Call, gate: Gate, sessions: Sequence[SessionStatus]) -> int:
    from launcher.report import failover_key

    def text(paint: Painter) -> str:
        from launcher.render import verdict_text

        return verdict_text(gate, sessions, call.inventory, paint)

    call.print(failover_key(call.inventory, gate, sessions), text)
    call.interrupts.check()
    codes = {"green": ExitCode.OK, "red": ExitCode.RED, "unknown": ExitCode.UNKNOWN}
    return codes[gate.verdict.colour]


def down(call: Call) -> int:
    """Stop sessions."""
    from launcher.stop import down as stop

    sessions = stop(call.inventory, call.arguments.sessions, call.environ, call.interrupts)

    def text(paint: Painter) -> str:
        from launcher.render import sessions_block

        return sessions_block(sessions, paint) + "\n" if sessions else "no session runs\n"

    call.print({"sessions": [session.as_report() for session in sessions]}, text)
    failed = any(session.state == "failed" for session in sessions)
    return ExitCode.UNAVAILABLE if failed else ExitCode.OK


def status(call: Call) -> int:
    """Show accounts × links, the sessions, and the last report."""
    from launcher.status import overview

    view = overview(call.inventory, call.environ, call.interrupts)

    def text(paint: Painter) -> str:
        from launcher.render import overview_text

        return overview_text(view, paint)

    call.print(view.as_json(), text)
    return view.exit_code


def ensure(call: Call) -> int:
    """Create missing targets and links, or refuse."""
    from launcher import provision

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


VERBS: Mapping[str, Verb] = {
    "check": Verb("run the gate and publish the report", _json, check, reports=True),
    "up": Verb("run the gate; on green, start what does not run", _json, up, reports=True),
    "down": Verb("stop sessions", _down_arguments, down),
    "status": Verb(
        "show accounts × links, sessions, and the last report", _json, status, writes=False
    ),
    "ensure": Verb("create missing targets and links; refuse the rest", _ensure_arguments, ensure),
}
