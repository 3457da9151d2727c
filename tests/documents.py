"""A whole inventory as tomllib gives it, and ways to spoil one place of it."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

from invariants.schema import decode

PATH = "/etc/claude-failover/failover.toml"

WHOLE: dict[str, Any] = {
    "shared": {
        "root": "/srv/claude",
        "retention_days": 30,
        "links": ["projects", "file-history"],
        "targets": {"projects": "/data/projects"},
    },
    "accounts": [
        {"name": "primary", "home": "/home/u/.claude-primary"},
        {"name": "backup", "home": "/home/u/.claude-backup"},
    ],
    "sessions": [
        {
            "name": "api",
            "account": "primary",
            "directory": "/home/u/src",
            "command": ["claude"],
            "pass_environment": ["LANG"],
            "failover": ["primary"],
        }
    ],
    "invariants": {"parity": True, "off": {"strays": "because"}},
    "launcher": {
        "backend": "tmux",
        "state": "/var/lib/u",
        "report": "/var/lib/u/r.json",
        "prometheus": "/var/lib/u/r.prom",
        "timeout": 30,
        "settle": 0.5,
        "memory_rules": True,
    },
}
"""A document in which every key stands, and nothing is wrong."""


def problems(document: dict[str, Any]) -> list[str]:
    """Return what is wrong with *document*."""
    return decode(document, PATH)[1]


def changed(place: str, value: object) -> dict[str, Any]:
    """Return the whole document with *value* at *place*, as a message spells it."""
    document = deepcopy(WHOLE)
    parent, last = _parent(document, place)
    parent[last] = value
    return document


def without(place: str) -> dict[str, Any]:
    """Return the whole document without what stands at *place*."""
    document = deepcopy(WHOLE)
    parent, last = _parent(document, place)
    del parent[last]
    return document


def _parent(document: dict[str, Any], place: str) -> tuple[Any, str | int]:
    *steps, last = [int(step) if step.isdigit() else step for step in re.findall(r"[\w-]+", place)]
    parent: Any = document
    for step in steps:
        parent = parent[step]
    return parent, last
