"""What can go wrong, one class for each exit code (sysexits.h where it has a word for it)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes that operators, units and monitors rely on."""

    OK = 0
    RED = 1
    USAGE = 2
    UNAVAILABLE = 69
    UNKNOWN = 70
    LOCKED = 75
    CONFIG = 78


EXIT_CODES: Mapping[ExitCode, str] = {
    ExitCode.OK: "green, and what was asked is done",
    ExitCode.RED: "red: an invariant does not hold, or an entry was refused",
    ExitCode.USAGE: "usage",
    ExitCode.UNAVAILABLE: "green, but a session is not up",
    ExitCode.UNKNOWN: "unknown: the gate could not be carried out",
    ExitCode.LOCKED: "another launcher is at work",
    ExitCode.CONFIG: "the inventory is wrong or missing",
}
"""What each means, as the help, the manual page and ``launcher explain`` say it."""


class LauncherError(Exception):
    """A verb cannot do what was asked. Its text is for the operator, its code for the caller."""

    code = ExitCode.UNKNOWN


class Refused(LauncherError):
    """An entry is not as it should be, and was left as it is."""

    code = ExitCode.RED


class WrongUsage(LauncherError):
    """The command line names something that there is not."""

    code = ExitCode.USAGE


class Unavailable(LauncherError):
    """A session could not be started, stopped or looked at."""

    code = ExitCode.UNAVAILABLE


class NotJudged(LauncherError):
    """The gate could not be carried out, or its report not be published."""

    code = ExitCode.UNKNOWN


class Locked(LauncherError):
    """Another launcher is at work on the same sessions and homes."""

    code = ExitCode.LOCKED


class WrongInventory(LauncherError):
    """The inventory is wrong or missing."""

    code = ExitCode.CONFIG


class Interrupted(LauncherError):
    """A signal asked the launcher to end; the exit code is the shell's for that signal."""

    def __init__(self, signal_number: int, name: str) -> None:
        super().__init__(f"interrupted by {name}")
        self.signal_number = signal_number
