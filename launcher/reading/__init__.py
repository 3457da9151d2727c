"""The one report as whoever reads it must take it now: its verdict, or why that does not count.

Nothing is looked at but the report itself: no home, no target, no session.
"""

from __future__ import annotations

from launcher.reading.decoding import (
    MALFORMED,
    read_report,
    reading_elsewhere,
    reading_of,
    without_inventory,
)
from launcher.reading.matrix import UNKNOWN, Matrix, matrix_of
from launcher.reading.model import MAX_AGE, Outcome, Reading

__all__ = [
    "MALFORMED",
    "MAX_AGE",
    "UNKNOWN",
    "Matrix",
    "Outcome",
    "Reading",
    "matrix_of",
    "read_report",
    "reading_elsewhere",
    "reading_of",
    "without_inventory",
]
