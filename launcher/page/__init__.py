"""The page for people: the report and its history as one HTML file that needs nothing else.

Every value is escaped by the template engine. No script runs, nothing is loaded: the page says so
itself, in a Content-Security-Policy that allows its own style sheet, by hash, and no more.
"""

from __future__ import annotations

import base64
import hashlib
import time
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from launcher import __version__
from launcher.formats.words import fields, plain, warning_fields
from launcher.history import History, key
from launcher.page.timeline import marks, rows, strip
from launcher.reading import UNKNOWN, Reading, matrix_of
from launcher.replacing import replace_own
from launcher.verdict import Colour

OPENING = "<!doctype html>\n<!-- claude-failover -->\n"
FOLDED = 12
"""With more accounts than that, those that are all right are folded away."""
LISTED = 200
"""How many failures, and how many warnings, are told one by one."""

_SIGNS = {Colour.GREEN: "✓", Colour.RED: "✗", Colour.UNKNOWN: "?"}


def page(reading: Reading, history: History, now: float | None = None) -> str:
    """Return the page for *reading*, with the timeline of *history*, as of *now*."""
    now = time.time() if now is None else now
    failures = () if reading.problem else reading.failures
    tone, sign = reading.verdict.value, _SIGNS[reading.verdict]
    if reading.verdict is Colour.GREEN and reading.failed_sessions:
        tone, sign = "unknown", "!"  # nobody may take it for all being well
    known = marks(history, now)
    return drawn(
        "page.html.jinja",
        now,
        word=reading.verdict.value,
        summary=reading.summary,
        reading=reading,
        sign=sign,
        tone=tone,
        since=history.since if history.verdict == reading.verdict.value else None,
        failures=[
            (one.finding, fields(one.finding), known.get(key(one.finding)))
            for one in failures[:LISTED]
        ],
        more=len(failures[LISTED:]),
        warnings=[(one, warning_fields(one)) for one in reading.warnings[:LISTED]],
        more_warnings=len(reading.warnings[LISTED:]),
        sessions=() if reading.problem else reading.sessions,
        matrix=matrix_of(reading),
        accounts=_accounts(reading),
        strip=strip(history, now),
        changes=rows(history),
        unknown=UNKNOWN,
    )


def drawn(template: str, now: float, **values: object) -> str:
    """Return the page that *template* makes of *values*, with what all pages have."""
    environment, style = _environment()
    return environment.get_template(template).render(
        opening=OPENING, style=style, policy=policy(), version=__version__, now=now, **values
    )


def write_page(path: str, text: str) -> None:
    """Replace the page at *path*. Raises OSError where it cannot be, or is something else."""
    replace_own(path, text.encode("utf-8", "backslashreplace"), OPENING.encode())


@cache
def policy() -> str:
    """Return the Content-Security-Policy of the page: its own style sheet, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(_environment()[1].encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


@cache
def _environment() -> tuple[Environment, str]:
    loader = PackageLoader("launcher.page", "")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"plain": plain, "moment": _moment, "iso": _iso, "ago": _ago}
    return environment, loader.get_source(environment, "page.css")[0].rstrip("\n")


def _accounts(reading: Reading) -> tuple[list[str], list[str]]:
    """Return the accounts to show, and those that are folded away: all right, and many."""
    matrix = matrix_of(reading)
    names = list(matrix.entries)
    right = [
        name
        for name in names
        if matrix.homes[name] is None and not any(matrix.entries[name].values())
    ]
    if len(names) <= FOLDED:
        return names, []
    return [name for name in names if name not in set(right)], right


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))


def _iso(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def _ago(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} seconds"
