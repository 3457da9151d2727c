"""``status``: accounts × links, the sessions, and the last report, for people and monitors."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from launcher.formats import FORMATS, shower
from launcher.output import Output
from launcher.verbs.call import Call, Verb, format_arguments, seconds

if TYPE_CHECKING:
    from invariants.inventory import Inventory, InventoryError
    from launcher.history import History
    from launcher.reading import Reading
    from launcher.render import Painter
    from launcher.status import Overview

_Read = TypeVar("_Read")
_HANGS = 5.0
"""Seconds for reading the report: a monitor gives up on its plugin after ten."""


class _PrintSchema(argparse.Action):
    """Print the report's JSON Schema and exit, as ``--version`` does: no inventory is needed."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print it."""
        from importlib.resources import files

        Output().result(files("launcher").joinpath("report.schema.json").read_text("utf-8"))
        parser.exit()


def _arguments(parser: argparse.ArgumentParser) -> None:
    how = parser.add_mutually_exclusive_group()
    told = "text and json look at everything now; the others tell the last report"
    format_arguments(how, FORMATS, told)
    how.add_argument(
        "--html", metavar="FILE", help="write the last report and its history to FILE, as a page"
    )
    how.add_argument(
        "--follow", action="store_true", help="look again every second, in a terminal, until Ctrl-C"
    )
    parser.add_argument(
        "--max-age",
        type=seconds,
        metavar="SECONDS",
        help="an older report is unknown (text, json: any age counts; the others: 900)",
    )
    parser.add_argument(
        "--schema", action=_PrintSchema, nargs=0, help="print the report's JSON Schema and exit"
    )


def run(call: Call) -> int:
    """Show what is asked for, and return the exit code that goes with it."""
    if call.arguments.html is not None:
        return _write_page(call)
    if call.arguments.format in FORMATS:
        return _tell(_reading(call), call.arguments.format, call.output)
    return _follow(call) if call.arguments.follow else _look(call)


def _look(call: Call) -> int:
    view = _overview(call)
    if call.arguments.format == "json":
        import json

        call.output.result(json.dumps(view.as_json(), indent=2) + "\n")
        return view.exit_code

    def text(paint: Painter) -> str:
        from launcher.render import overview_text

        return overview_text(view, call.inventory, paint)

    call.print_text(text)
    return view.exit_code


def _overview(call: Call) -> Overview:
    from launcher.status import overview

    max_age = math.inf if call.arguments.max_age is None else call.arguments.max_age
    return overview(call.inventory, call.environ, call.interrupts, max_age)


def _follow(call: Call) -> int:
    from launcher.errors import WrongUsage
    from launcher.follow import follow
    from launcher.render import Painter, overview_text, wants_colour

    if sys.stdout is None or not sys.stdout.isatty():
        raise WrongUsage(
            "--follow draws on a terminal, and standard output is none; "
            "launcher watch says each change"
        )
    paint = Painter(wants_colour(True, call.environ))

    def look() -> tuple[str, int]:
        view = _overview(call)
        return overview_text(view, call.inventory, paint), view.exit_code

    return follow(sys.stdout.fileno(), look, call.interrupts)


def run_without(arguments: argparse.Namespace, error: InventoryError, output: Output) -> int | None:
    """Show, in a monitor's format or on the page, that inventory and verdict are not known."""
    if arguments.html is None and arguments.format not in FORMATS:
        return None
    from launcher.reading import without_inventory

    output.message(str(error))
    if arguments.html is not None:
        from launcher.history import History

        return _put(arguments.html, without_inventory(error), History())
    return _tell(without_inventory(error), arguments.format, output)


def _reading(call: Call) -> Reading:
    from launcher.reading import read_report

    return _read(call, read_report, lambda reading: reading)


def _write_page(call: Call) -> int:
    from launcher.history import History
    from launcher.page.timeline import history_of
    from launcher.reading import read_report

    def both(inventory: Inventory, max_age: float) -> tuple[Reading, History]:
        return read_report(inventory, max_age), history_of(inventory)

    return _put(call.arguments.html, *_read(call, both, lambda reading: (reading, History())))


def _put(file: str, reading: Reading, history: History) -> int:
    """Write the page to *file*, and return the exit code of its report. Raises NotJudged."""
    from launcher.errors import NotJudged
    from launcher.page import page, write_page

    path = os.path.abspath(file)
    try:
        write_page(path, page(reading, history))
    except OSError as error:
        raise NotJudged(f"the page cannot be written: {path}: {error.strerror}") from error
    return reading.code


def _read(
    call: Call, read: Callable[[Inventory, float], _Read], without: Callable[[Reading], _Read]
) -> _Read:
    """Read what the report's file system holds, or tell *without* it that it hangs."""
    from launcher.bounded import bounded
    from launcher.errors import NotJudged
    from launcher.reading import MAX_AGE, Reading

    inventory = call.inventory
    max_age = MAX_AGE if call.arguments.max_age is None else call.arguments.max_age
    try:
        return bounded(lambda: read(inventory, max_age), _HANGS, call.interrupts)
    except NotJudged as error:
        path = inventory.settings.report
        problem = f"{path}: {error}"
        return without(Reading(path, inventory, problem=problem, max_age=max_age))


def _tell(reading: Reading, name: str, output: Output) -> int:
    shown = shower(name)(reading)
    output.result(shown.text)
    return shown.code


VERB = Verb(
    _arguments,
    run,
    writes=False,
    asks=True,
    run_without=run_without,
)
