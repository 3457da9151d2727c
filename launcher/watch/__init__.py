"""``launcher watch``: keeps the report true while the VM runs."""

from __future__ import annotations

ENDED = "launcher watch has ended, and nobody keeps the report true"
"""Why a report is unknown that was green when its watch ended."""
