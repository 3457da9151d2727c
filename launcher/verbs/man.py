"""``man``: the manual page."""

from __future__ import annotations

import argparse

from launcher.errors import ExitCode
from launcher.verbs.call import Call, Verb


def _arguments(parser: argparse.ArgumentParser) -> None:
    """Take none."""


def run(call: Call) -> int:
    """Print the manual page as man(1) reads it."""
    from launcher.cli import parser
    from launcher.manual import manual

    call.output.result(manual(parser()))
    return ExitCode.OK


VERB = Verb(_arguments, run, writes=False, inventory=False)
