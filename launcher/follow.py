"""``status --follow``: one view after the other in the place of the last, until Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

from launcher.errors import Interrupted
from launcher.interrupts import Interrupts

INTERVAL = 1.0
"""Seconds between two looks."""

_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"
_CODES = re.compile(r"(\x1b\[[0-9;]*m)")


class Screen:
    """The terminal's second screen, without a cursor, while entered; the first comes back.

    A view is written in one piece over the last one, and nothing is cleared before: it does not
    flicker (console_codes(4), xterm's alternate screen).
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> Self:
        self._resized, self._resize = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before = signal.signal(signal.SIGWINCH, self._note)
        self._write(_ENTER)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.signal(signal.SIGWINCH, self._before)
        os.close(self._resized)
        os.close(self._resize)
        self._write(_LEAVE)

    def _note(self, number: int, frame: FrameType | None) -> None:
        try:
            os.write(self._resize, b"!")
        except BlockingIOError:
            pass  # it is full of them

    def show(self, text: str) -> None:
        """Put *text* on the screen, as much of it as fits."""
        lines = fitted(text.splitlines(), *os.get_terminal_size(self._descriptor))
        self._write(_HOME + "\r\n".join(line + _REST_OF_LINE for line in lines) + _REST_OF_SCREEN)

    def rest(self, interrupts: Interrupts) -> None:
        """Wait until it is time for another look, or the screen's size has changed."""
        if self._resized in interrupts.poll([self._resized], INTERVAL):
            os.read(self._resized, 4096)

    def _write(self, text: str) -> None:
        content = text.encode("utf-8", "backslashreplace")
        while content:
            content = content[os.write(self._descriptor, content) :]


def fitted(lines: list[str], columns: int, rows: int) -> list[str]:
    """Return *lines* cut to a screen; where there is no room for all, the last one counts the rest.

    >>> fitted(["one", "two", "three"], 20, 2)
    ['one', '… 2 more lines']
    """
    if len(lines) > rows:
        lines = [*lines[: rows - 1], f"… {len(lines) - rows + 1} more lines"]
    return [_cut(line, columns) for line in lines]


def _cut(line: str, columns: int) -> str:
    """Return *line* in *columns* columns, with the codes that it holds, which take none."""
    if len(_CODES.sub("", line)) <= columns:
        return line
    kept, left = "", columns - 1
    for part in _CODES.split(line):
        if _CODES.fullmatch(part):
            kept += part
        else:
            kept += part[:left]
            left -= len(part[:left])
            if left == 0:
                break
    return f"{kept}…\x1b[0m" if "\x1b" in kept else f"{kept}…"


def follow(descriptor: int, look: Callable[[], tuple[str, int]], interrupts: Interrupts) -> int:
    """Show what *look* returns, over and over; return its last exit code once Ctrl-C ends it.

    Raises Interrupted for any other signal.
    """
    code = 0
    with Screen(descriptor) as screen:
        try:
            while True:
                text, code = look()
                screen.show(text)
                screen.rest(interrupts)
        except Interrupted as error:
            if error.signal_number != signal.SIGINT:
                raise
    return code
