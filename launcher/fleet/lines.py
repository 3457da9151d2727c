"""Reports on standard input, one a line."""

from __future__ import annotations

import os
from collections.abc import Iterator

from launcher.fleet.source import LIMIT, Source
from launcher.interrupts import Waiting

_HOUR = 3600.0
_BLOCK = 1 << 20


def lines(waiting: Waiting) -> Iterator[Source]:
    """Yield the reports on standard input, one a line, as they are written.

    Lines that are none, one after another, are told of together. Raises Interrupted where a signal
    ends the wait for them.
    """
    odd: list[int] = []
    number, is_empty = 0, True
    try:
        for number, line in enumerate(_split(waiting), 1):
            is_empty = is_empty and not line
            if line.startswith(b'{"') and line.endswith(b"}"):
                yield from _odd(odd)
                odd = []
                yield Source(f"standard input, line {number}", "", line)
            elif line:
                odd.append(number)
        yield from _odd(odd)
    except OSError as error:
        yield from _odd(odd)
        where = f"standard input, after line {number}" if number else "standard input"
        yield Source(where, "", problem=f"it cannot be read: {error.strerror}")
        return
    if is_empty:
        yield Source("standard input", "", problem="no report: nothing is in it")


def _odd(numbers: list[int]) -> Iterator[Source]:
    if not numbers:
        return
    one = len(numbers) == 1
    where = f"line {numbers[0]}" if one else f"lines {numbers[0]} to {numbers[-1]}"
    problem = "it is torn, or no report: each is one line, as it was written (jq -c makes it one)"
    yield Source(f"standard input, {where}", "", problem=problem)


def _split(waiting: Waiting) -> Iterator[bytes]:
    """Yield the lines of standard input without the spaces at their ends."""
    rest = bytearray()
    while True:
        if not waiting.poll([0], _HOUR):
            continue
        block = os.read(0, _BLOCK)
        *whole, last = block.split(b"\n")
        for line in whole:
            yield bytes(rest + line).strip()
            rest.clear()
        rest += last
        if len(rest) > LIMIT:
            raise OSError(0, f"a line is longer than {LIMIT / 1e6:.0f} MB")
        if not block:
            if rest:
                yield bytes(rest).strip()
            return
