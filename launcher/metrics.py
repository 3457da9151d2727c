"""The metrics file for node_exporter's textfile collector, replaced with every verdict.

While a gate is at work a green verdict in it is unknown, as in the report: the launcher may be
killed. All else stays, and red stays red, so that no alert that stands is lifted by a scrape in
between. When a verdict no longer counts, ``claude_failover_counts_until_timestamp_seconds`` says.

The directory may be anybody's. A file there is replaced only if it is root's or this user's, and of
this inventory: with two inventories that name one file, the second one would hide the first one's
red.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from invariants.access import user_name
from invariants.finding import quoted, shown
from invariants.inventory import Inventory, InventoryError
from invariants.opening import open_at_once
from invariants.safety import trusted_users
from launcher.reading import Reading, reading_of, without_inventory
from launcher.replacing import replace_own

_OPENING = b"# HELP claude_failover_"
_MAX_BYTES = 64 * 1024 * 1024
_VERDICT = re.compile(
    rb'^(claude_failover_verdict\{(?:.*,)?verdict="(green|red|unknown)"(?:,.*)?\}) (\S+)$',
    re.MULTILINE,
)
_VALUES = {False: b" 0.0", True: b" 1.0"}
_LABEL = re.compile(r'[{,]inventory="((?:[^"\\]|\\.)*)"')
_ESCAPED = {"n": "\n"}
_HEAD = 65536  # bytes that hold the first sample


def write_metrics(inventory: Inventory, document: Mapping[str, Any]) -> str | None:
    """Write the metrics of a report's *document* where *inventory* asks for them, if it does.

    Returns what is to be said where that could not be done, or None. It never raises for it: a
    verdict counts with or without metrics.
    """
    path = inventory.settings.prometheus
    return None if path is None else _write(path, lambda: reading_of(document, inventory))


def doubt_metrics(inventory: Inventory) -> None:
    """Turn a green verdict in the metrics of *inventory* unknown, and leave all else as it is.

    Where that cannot be done nothing is said: the gate that is at work says so when it has ended.
    """
    path = inventory.settings.prometheus
    if path is None:
        return
    with suppress(OSError):
        _refuse_file_of_another(path, inventory.path)
        with open_at_once(path, os.O_NOFOLLOW) as file:
            text = file.read(_MAX_BYTES)
        values = {match[2]: float(match[3]) for match in _VERDICT.finditer(text)}
        if values.get(b"green"):
            doubted = _VERDICT.sub(lambda match: match[1] + _VALUES[match[2] == b"unknown"], text)
            replace_own(path, doubted, _OPENING)


def disown_metrics(error: InventoryError) -> str | None:
    """Turn the metrics of a wrong inventory unknown, as far as it still tells where they are."""
    return (
        None if error.metrics is None else _write(error.metrics, lambda: without_inventory(error))
    )


def _write(path: str, read: Callable[[], Reading]) -> str | None:
    try:
        from launcher.formats.prometheus import show

        reading = read()
        _refuse_file_of_another(path, reading.inventory_path)
        replace_own(path, show(reading).text.encode(), _OPENING)
    except OSError as error:
        return f"the metrics cannot be written: {path}: {error.strerror or error}"
    except Exception as error:  # be it a fault of ours, or of the library's installation
        return f"the metrics cannot be written: {path}: {error!r}"
    return None


def _refuse_file_of_another(path: str, inventory: str) -> None:
    """Raise OSError if another user or another inventory wrote the metrics file at *path*.

    What an earlier version wrote names no inventory, and is taken for this one's.
    """
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(status.st_mode):
        return  # replace_own() refuses it
    if status.st_uid not in trusted_users():
        fix = "name another file in launcher.prometheus"
        raise OSError(errno.EEXIST, f"it belongs to {user_name(status.st_uid)}: {fix}")
    with open_at_once(path, os.O_NOFOLLOW) as file:
        writer = inventory_of(file.read(_HEAD).decode(errors="replace"))
    if writer is None or _is_same(writer, inventory):
        return
    fix = f"name another file in launcher.prometheus, or, if that is gone: {quoted('rm', path)}"
    raise OSError(errno.EEXIST, f"the inventory {shown(writer)} writes it: {fix}")


def inventory_of(text: str) -> str | None:
    """Return the inventory that metrics in Prometheus' text format are of, or None."""
    found = _LABEL.search(text)
    if found is None:
        return None
    return re.sub(r"\\(.)", lambda match: _ESCAPED.get(match[1], match[1]), found[1])


def _is_same(writer: str, inventory: str) -> bool:
    from launcher.formats.words import plain

    if writer in (inventory, plain(inventory)):
        return True
    with suppress(OSError, ValueError):
        return os.path.samefile(writer, inventory)
    return False
