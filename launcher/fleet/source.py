"""One thing that should be a report."""

from __future__ import annotations

from typing import NamedTuple

LIMIT = 32 * 1024 * 1024
"""How large a report may be, in bytes: 90,000 checks that pass, or 19,000 that do not."""


class Source(NamedTuple):
    """Something that should be a report: where it is, and its content or why there is none.

    ``filed`` is the VM's name, as far as a directory or a file name tells it, or empty.
    """

    path: str
    filed: str
    content: bytes | None = None
    problem: str | None = None
