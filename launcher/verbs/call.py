"""What every verb is made of, and what one call of it is given.

Imported before the gate's child is started, which everybody waits for: so no dataclasses, which
take as long to import as all the rest here.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from launcher.errors import WrongInventory, WrongUsage

if TYPE_CHECKING:
    from invariants.inventory import Account, Inventory, InventoryError
    from launcher.early import Started
    from launcher.interrupts import Interrupts
    from launcher.output import Output
    from launcher.render import Painter


class Call(NamedTuple):
    """One call of a verb: its arguments, what it acts on, and where its result goes.

    ``loaded`` is None for a verb that works without an inventory; ``child`` is the gate's, started
    already, where the verb runs one.
    """

    arguments: argparse.Namespace
    loaded: "Inventory | None"
    environ: Mapping[str, str]
    interrupts: "Interrupts"
    output: "Output"
    child: "Started | None" = None

    @property
    def inventory(self) -> "Inventory":
        """What the verb acts on. Raises WrongInventory for one that said that it needs none."""
        if self.loaded is None:
            raise WrongInventory(f"{self.arguments.verb} works without an inventory")
        return self.loaded

    @property
    def option(self) -> str:
        """What a pasted command needs to reach the same inventory."""
        from invariants.inventory import inventory_option

        return inventory_option(self.inventory.path, self.environ)

    def account(self, name: str) -> "Account":
        """Return the account called *name*. Raises WrongUsage, with those that there are."""
        known = {one.name: one for one in self.inventory.accounts}
        if name not in known:
            raise WrongUsage(f"there is no account {name}; there are {', '.join(known)}")
        return known[name]

    def print(self, as_json: Any, as_text: "Callable[[Painter], str]") -> None:
        """Print a result: as JSON where ``--json`` asks for it, else as text."""
        if self.arguments.json:
            import json

            self.output.result(json.dumps(as_json, indent=2) + "\n")
        else:
            self.print_text(as_text)

    def print_text(self, as_text: "Callable[[Painter], str]") -> None:
        """Print a result as text, in colour where a terminal takes it."""
        from launcher.render import Painter, wants_colour

        is_terminal = sys.stdout is not None and sys.stdout.isatty()
        self.output.result(as_text(Painter(wants_colour(is_terminal, self.environ))))


class Verb(NamedTuple):
    """A verb: its arguments, its function; whether it writes, and writes the report.

    ``stops`` tells whether it ends sessions: then it leaves the one that it is called in first.
    ``inventory`` tells whether it acts on one: then it is loaded first, and wrong is refused.
    ``keeps_state`` tells whether it goes by the state directory, ``asks`` whether it only reads it:
    then root may ask about the inventory of another user.
    ``run_without`` is called where it is wrong or missing: it tells so in its own way and returns
    the exit code, or returns None where it has none.
    """

    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[Call], int]
    writes: bool = True
    reports: bool = False
    stops: bool = False
    inventory: bool = True
    keeps_state: bool = True
    asks: bool = False
    run_without: "Callable[[argparse.Namespace, InventoryError, Output], int | None] | None" = None


def json_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``, for a verb that prints a result."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def format_arguments(
    how: "argparse._MutuallyExclusiveGroup", formats: Sequence[str], told: str
) -> None:
    """Add ``--format``, text and JSON before other *formats*, with its help, and ``--json``."""
    how.add_argument("--format", choices=("text", "json", *formats), default="text", help=told)
    how.add_argument(
        "--json",
        dest="format",
        action="store_const",
        const="json",
        help="the same as --format json",
    )


def seconds(text: str) -> float:
    """Return the seconds that an option's *text* says: above 0, or inf. Fails as argparse has it.

    >>> seconds("inf")
    inf
    """
    number = float(text)
    if not number > 0:
        raise argparse.ArgumentTypeError(f"must be above 0, not {text}")
    return number
