"""The metrics file for node_exporter's textfile collector, replaced with every verdict.

It changes with a verdict only, not while a gate is at work: a scrape in between would see a
verdict that nobody gave. How old it is, ``claude_failover_last_run_timestamp_seconds`` tells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from invariants.inventory import Inventory, InventoryError
from launcher.reading import Reading, reading_of, without_inventory
from launcher.replacing import replace_own

_OPENING = b"# HELP claude_failover_"


def write_metrics(inventory: Inventory, document: Mapping[str, Any]) -> str | None:
    """Write the metrics of a report's *document* where *inventory* asks for them, if it does.

    Returns what is to be said where that could not be done, or None. It never raises for it: a
    verdict counts with or without metrics.
    """
    path = inventory.settings.prometheus
    return None if path is None else _write(path, lambda: reading_of(document, inventory))


def disown_metrics(error: InventoryError) -> str | None:
    """Turn the metrics of a wrong inventory unknown, as far as it still tells where they are."""
    return (
        None if error.metrics is None else _write(error.metrics, lambda: without_inventory(error))
    )


def _write(path: str, read: Callable[[], Reading]) -> str | None:
    try:
        from launcher.formats.prometheus import show

        replace_own(path, show(read()).text.encode(), _OPENING)
    except OSError as error:
        return f"the metrics cannot be written: {path}: {error.strerror or error}"
    except Exception as error:  # be it a fault of ours, or of the library's installation
        return f"the metrics cannot be written: {path}: {error!r}"
    return None
