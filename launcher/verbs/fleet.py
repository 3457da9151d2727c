"""``fleet``: many VMs as their reports tell them, the worst first. It connects to nothing."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING

from launcher.errors import NotJudged, WrongUsage
from launcher.formats import FLEET_FORMATS, fleet_shower
from launcher.verbs.call import Call, Verb, format_arguments, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.fleet import Fleet, Gathering, Vm


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="a report, a directory of reports as Ansible's fetch fills it, or - for reports on "
        "standard input, one a line",
    )
    how = parser.add_mutually_exclusive_group()
    format_arguments(how, FLEET_FORMATS, "text is for people, the others for programs")
    how.add_argument("--html", metavar="FILE", help="write hosts × invariants to FILE, as a page")
    parser.add_argument(
        "--max-age",
        type=seconds,
        metavar="SECONDS",
        help="an older report is unknown (default: 900)",
    )
    parser.add_argument(
        "--expect",
        metavar="FILE",
        help="the VMs that there are, a name a line: one without a report is unknown",
    )


def run(call: Call) -> int:
    """Read all reports, one after another; show what is asked for, and return the worst code."""
    from launcher.fleet import Gathering
    from launcher.reading import MAX_AGE

    asked = call.arguments
    expected = None if asked.expect is None else _expected(asked.expect)
    gathering = Gathering(MAX_AGE if asked.max_age is None else asked.max_age)
    if asked.html is None and asked.format == "text":
        return _tell(call, gathering, expected)
    for vm in _vms(call):
        gathering.add(vm)
    fleet = gathering.fleet(expected, asked.expect or "")
    if asked.html is not None:
        _write_page(fleet, os.path.abspath(asked.html))
    elif asked.format == "json":
        call.output.result(json.dumps(fleet.as_json(), indent=2) + "\n")
    else:
        shown = fleet_shower(asked.format)(fleet)
        call.output.result(shown.text)
        return shown.code
    return fleet.standing.code


def _vms(call: Call) -> Iterator[Vm]:
    from launcher.fleet import sources, told
    from launcher.reading import MAX_AGE

    max_age = MAX_AGE if call.arguments.max_age is None else call.arguments.max_age
    for source in sources(call.arguments.paths, call.interrupts):
        call.interrupts.check()
        yield told(source, max_age)


def _tell(call: Call, gathering: Gathering, expected: list[str] | None) -> int:
    """Print a VM that is red as soon as it is read, since none is worse; the rest in the end."""
    from launcher.fleet import Standing
    from launcher.fleet.text import HEAD, line, rest
    from launcher.render import Painter, wants_colour

    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    paint = Painter(wants_colour(is_terminal, call.environ))
    printed: dict[str, str] = {}
    call.output.result(HEAD)
    for vm in _vms(call):
        if gathering.add(vm) and vm.standing is Standing.RED:
            printed[vm.name] = line(vm, paint)
            call.output.result(printed[vm.name])
    fleet = gathering.fleet(expected, call.arguments.expect or "")
    call.output.result(rest(fleet, printed, paint))
    return fleet.standing.code


def _expected(path: str) -> list[str]:
    """Return the names in the file at *path*. Raises WrongUsage where there are none."""
    try:
        with open(path, encoding="utf-8", errors="backslashreplace") as file:
            lines = [line.partition("#")[0].strip() for line in file]
    except OSError as error:
        raise WrongUsage(f"--expect {path}: it cannot be read: {error.strerror}") from error
    names = [line for line in lines if line]
    if not names:
        raise WrongUsage(f"--expect {path}: it names no VM")
    return names


def _write_page(fleet: Fleet, path: str) -> None:
    from launcher.page import write_page
    from launcher.page.fleet import fleet_page

    try:
        write_page(path, fleet_page(fleet))
    except OSError as error:
        raise NotJudged(f"the page cannot be written: {path}: {error.strerror}") from error


VERB = Verb(_arguments, run, writes=False, inventory=False)
