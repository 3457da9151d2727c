"""A session's ``limits``: names and values of systemd.resource-control(5), and nothing else.

What is refused here would be refused by systemd only at a boot, or, like a misspelt name in a
unit file, be passed over.
"""

from __future__ import annotations

import re

from invariants.decoding import Table, kind

_AMOUNT = r"[0-9]{1,15}"
_SHARE = r"(100|[0-9]{1,2})(\.[0-9]{1,2})?%"
_BYTES = rf"{_AMOUNT}(\.[0-9]{{1,6}})?[KMGTPE]?|{_SHARE}|infinity"
_SYNTAX: dict[str, tuple[str, str]] = {
    "MemoryHigh": (_BYTES, "bytes ('2G'), a share ('50%') or 'infinity'"),
    "MemoryMax": (_BYTES, "bytes ('2G'), a share ('50%') or 'infinity'"),
    "MemorySwapMax": (_BYTES, "bytes ('2G'), a share ('50%') or 'infinity'"),
    "CPUWeight": (r"[1-9][0-9]{0,3}|10000|idle", "a number from 1 to 10000, or 'idle'"),
    "CPUQuota": (r"[1-9][0-9]{0,5}(\.[0-9]{1,2})?%", "a share of one CPU ('150%')"),
    "TasksMax": (rf"[1-9][0-9]{{0,9}}|{_SHARE}|infinity", "a number, a share or 'infinity'"),
}
LIMITS = tuple(_SYNTAX)
"""What a user's manager can enforce too; it has no say over I/O and devices (``Delegate=``)."""


def limits(table: Table) -> tuple[tuple[str, str], ...]:
    """Take the limits that *table* sets, and note everything that is wrong with them."""
    taken = []
    for name in LIMITS:
        if name not in table:
            continue
        value = table.raw(name)
        if isinstance(value, bool) or not isinstance(value, int | str):
            table.problem(name, f"must be a number or a string, not {kind(value)}")
            continue
        pattern, described = _SYNTAX[name]
        # str() of an int takes 4,300 digits, and a hexadecimal number can have more.
        long = isinstance(value, int) and value.bit_length() > 64
        text = "a number of more than 64 bits" if long else str(value)
        if re.fullmatch(pattern, text, re.ASCII) and (text.strip("0.%KMGTPE") or "Swap" in name):
            taken.append((name, text))
        else:
            table.problem(name, f"must be {described}, not {text if long else ascii(value)}")
    table.refuse_unknown()
    return tuple(taken)
