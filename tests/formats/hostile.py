"""Texts that somebody who may name a file could have chosen."""

from __future__ import annotations

from typing import Any

TEXTS = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)> ' & &amp; <!-- ]]> -->",
    "a\nb\r\nc\u2028d\x85e",
    "nul \0 bell \x07 escape \x1b[31m delete \x7f \ufffe",
    "no text: \udcff\udc80",
    "| pipe || 'age'=0s;;;; = \\",
    "``` `code` **bold** [link](javascript:alert) ![i](http://e.org/i.png) @all https://e.org #1",
    "# TODO not ok 1 # SKIP Bail out! 1..0 ---\n...",
    '{{ 7 * 7 }} {% raw %} ${x} %(y)s \\" }',
    "\u202eright to left\u202c \u200b",
    "x" * 5000,
    "",
)


def spoil(document: dict[str, Any], text: str) -> dict[str, Any]:
    """Put *text* wherever a report takes a text that somebody else may have chosen."""
    failover = document["failover"]
    for failure in failover["failures"]:
        failure |= {"expected": f"/{text}", "found": text, "fix": text, "state": f"s{text}"}
    names = {"invariant": "session_is_in_inventory", "account": None, "link": None}
    failover["warnings"] = [{**names, "session": "old", "found": text, "fix": text}]
    failover["host"] = text
    failover["sessions"] = [
        {"name": "api", "account": "primary", "state": "failed", "detail": text}
    ]
    return document
