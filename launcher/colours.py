"""The colours of a terminal, and which verdict has which (ECMA-48, SGR)."""

from __future__ import annotations

from launcher.verdict import Colour

RESET = "\x1b[0m"
BOLD, RED, GREEN, YELLOW = "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[33m"
VERDICTS = {Colour.GREEN: GREEN, Colour.RED: RED, Colour.UNKNOWN: YELLOW}
