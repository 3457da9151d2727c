"""Reports of many VMs that there are not, as they would have been fetched: a directory each."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MIX = ("green",) * 15 + ("red", "red", "session", "unknown", "stale")
"""What each twenty VMs are; every hundredth is torn and every two hundredth of a newer schema."""

FETCHED = "home/claude/.local/state/claude-failover/report.json"
"""Where the report is on a VM, and so below the directory that fetch makes for it."""

_LINKS = ("session-env", "file-history", "projects")
_ACCOUNTS = ("primary", "backup")
_MACHINE = [
    "test_single_writer.py::test_conversation_has_one_writer",
    "test_strays.py::test_no_home_is_left_out",
]
_STAGE = {"duration": 0.0004628290007531177, "outcome": "passed"}


def checks() -> list[str]:
    """Return the ids of the checks of two accounts with three links and a session."""
    names = [f"test_homes.py::test_home_is_usable[{account}]" for account in _ACCOUNTS]
    names += [f"test_identity.py::test_login_is_its_own[{account}]" for account in _ACCOUNTS]
    names += [f"test_retention.py::test_home_keeps_transcripts[{one}]" for one in _ACCOUNTS]
    for account in _ACCOUNTS:
        names += [f"test_links.py::test_link_is_shared[{account}-{link}]" for link in _LINKS]
        files = (".credentials.json", ".claude.json")
        names += [f"test_isolation.py::test_login_is_isolated[{account}-{f}]" for f in files]
    names += [f"test_targets.py::test_target_is_usable[{link}]" for link in _LINKS]
    names += ["test_sessions.py::test_session_directory_exists[api]"]
    names += ["test_sessions.py::test_session_command_is_found[api]"]
    names += ["test_sessions.py::test_session_backend_is_there[tmux]", *_MACHINE]
    return [f"invariants/{name}" for name in names]


def report(host: str, kind: str, at: float) -> dict[str, Any]:
    """Return the report of a VM of one *kind* of ``MIX``, whose gate ended at *at*.

    One of the kind ``warned`` is green, with a warning.
    """
    tests = {name: _test(name, "passed") for name in checks()}
    failures = []
    if kind == "red":
        failures.append(_failure())
        tests[failures[0]["nodeid"]] = _test(failures[0]["nodeid"], "failed")
    unknown = kind == "unknown"
    state = {"red": "held", "unknown": "held", "session": "failed"}.get(kind, "running")
    detail = "it ended at once (exit code 127)" if state == "failed" else None
    session = {"name": "api", "account": "primary", "state": state, "detail": detail}
    failover = {
        "schema": 1,
        "verdict": kind if kind in ("red", "unknown") else "green",
        "reason": "no verdict within 30 s, hung at backup projects" if unknown else None,
        "host": host,
        "boot_id": f"{abs(hash(host)):032x}",
        "inventory": "/etc/claude-failover/failover.toml",
        "demands": f"{0:064x}",
        "started": round(at - 0.4, 3),
        "finished": round(at, 3),
        "expected": len(tests),
        "passed": 0 if unknown else len(tests) - len(failures),
        "off": {},
        "failures": failures,
        "warnings": [_warning()] if kind == "warned" else [],
        "sessions": [session],
    }
    if unknown:
        return {"failover": failover}
    summary = {"passed": len(tests) - len(failures), "total": len(tests), "collected": len(tests)}
    document = {"created": at, "duration": 0.05, "exitcode": len(failures), "root": "/usr/lib"}
    return {"failover": failover, **document, "summary": summary, "tests": list(tests.values())}


def _test(nodeid: str, outcome: str) -> dict[str, Any]:
    stages = {"setup": _STAGE, "call": {**_STAGE, "outcome": outcome}, "teardown": _STAGE}
    return {"nodeid": nodeid, "lineno": 9, "outcome": outcome, **stages}


def _failure() -> dict[str, Any]:
    return {
        "nodeid": "invariants/test_links.py::test_link_is_shared[backup-projects]",
        "invariant": "link_is_shared",
        "account": "backup",
        "link": "projects",
        "session": None,
        "state": "divergent",
        "expected": "/srv/claude/projects",
        "found": "symlink to /home/claude/elsewhere, which does not exist",
        "fix": "mkdir /home/claude/.claude-backup/projects.aside && mv -n "
        "/home/claude/.claude-backup/projects /home/claude/.claude-backup/projects.aside/ && "
        "launcher ensure",
    }


def _warning() -> dict[str, Any]:
    return {
        "invariant": "session_is_in_inventory",
        "account": "primary",
        "link": None,
        "session": "old",
        "found": "it runs, but the inventory does not name it: tmux -L claude attach -t old",
        "fix": "launcher down old",
    }


def content(number: int, host: str, at: float) -> str:
    """Return what the file of VM *number* holds: mostly a report, of a VM as ``MIX`` has it."""
    kind = MIX[number % len(MIX)]
    document = report(host, kind, at - (7200 if kind == "stale" else number % 300))
    if number % 200 == 150:
        document["failover"]["schema"] = 2
    text = json.dumps(document) + "\n"
    return text[: len(text) // 2] if number % 100 == 99 else text


@contextmanager
def fetched(count: int) -> Iterator[Path]:
    """Make a directory with the reports of *count* VMs; yield it, and remove it afterwards."""
    root = Path(tempfile.mkdtemp(prefix="claude-failover-bench-"))
    try:
        fill(root, {f"vm-{number:05}": number for number in range(count)}, time.time())
        yield root
    finally:
        shutil.rmtree(root)


def fill(root: Path, hosts: Mapping[str, int], at: float) -> None:
    """Write the report of each of *hosts*, by name and number, below *root*."""
    for host, number in hosts.items():
        path = root / host / FETCHED
        path.parent.mkdir(parents=True)
        path.write_text(content(number, host, at))
