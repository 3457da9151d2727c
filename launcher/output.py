"""Standard output and error, whatever they are: a terminal, a pipe that closes, a full disk."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from launcher.errors import ExitCode

if TYPE_CHECKING:
    from launcher.journal import Entry


class Output:
    """Takes a verb's result and its messages; never lets trouble with them change a verdict."""

    def __init__(self) -> None:
        self._lost: OSError | None = None

    @property
    def is_journal(self) -> bool:
        """Whether a result goes to the journal, which takes entries instead of a text."""
        from launcher.journal import is_journal

        return sys.stdout is not None and is_journal(sys.stdout.fileno(), os.environ)

    def entries(self, entries: Iterable[Entry]) -> None:
        """Print a verb's result for the journal, one entry a line."""
        from launcher.journal import lines

        self.result(lines(entries))

    def result(self, text: str) -> None:
        """Print a verb's result on standard output."""
        try:
            self._print(sys.stdout, text)
        except BrokenPipeError:
            pass  # whoever read it has seen enough
        except OSError as error:
            self._lost = error

    def message(self, text: str, *, is_error: bool = True) -> None:
        """Print a message on standard error, each line with the program's name.

        In the journal, where an entry has the program's name beside it, each line is an error,
        or a warning if it *is_error* not.
        """
        from launcher.journal import Entry, Priority, is_journal, lines

        if sys.stderr is not None and is_journal(sys.stderr.fileno(), os.environ):
            priority = Priority.ERROR if is_error else Priority.WARNING
            said = lines(Entry(priority, line) for line in text.splitlines())
        else:
            said = "".join(f"launcher: {line}\n" for line in text.splitlines())
        try:
            self._print(sys.stderr, said)
        except OSError:
            pass  # there is nowhere left to say so

    def exit_code(self, code: int) -> int:
        """Return *code*, unless it says that all is well and the result could not be printed."""
        if self._lost is None:
            return code
        self.message(f"the result could not be printed: {self._lost.strerror}")
        return code or ExitCode.UNKNOWN

    @staticmethod
    def _print(stream: TextIO | None, text: str) -> None:
        """Write to the descriptor itself: nothing stays in a buffer to fail at exit."""
        if stream is None:
            return
        content = text.encode(stream.encoding or "utf-8", errors="backslashreplace")
        while content:
            content = content[os.write(stream.fileno(), content) :]
