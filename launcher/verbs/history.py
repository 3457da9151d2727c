"""``history``: what changed, and when."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from launcher.errors import ExitCode, WrongUsage
from launcher.verbs.call import Call, Verb, json_argument

if TYPE_CHECKING:
    from launcher.render import Painter


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--last", metavar="N", type=int, help="only the last N changes")
    json_argument(parser)


def run(call: Call) -> int:
    """Print the changes of verdict, the last one last."""
    from launcher import history

    last = call.arguments.last
    if last is not None and last < 1:
        raise WrongUsage("--last takes a number from 1 on")
    path = history.place(call.inventory)
    seen = history.read(path).only(last)

    def text(paint: Painter) -> str:
        from launcher.timeline import history_text

        return history_text(seen, paint)

    call.print({**seen.as_json(), "path": path}, text)
    return ExitCode.OK


VERB = Verb(_arguments, run, writes=False, asks=True)
