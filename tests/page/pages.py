"""The pages that are looked at: one of each kind, and those that are hard to draw."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from benchmarks.fleets import MIX, report
from launcher.fleet import Fleet, Gathering, Source, told
from launcher.history import Change, Failing, History
from launcher.page import page
from launcher.page.fleet import fleet_page
from tests.formats.hostile import TEXTS, spoil
from tests.formats.told import CASES, Told

MANY = 60
MANY_VMS = 300
KINDS = (*CASES, "hostile", "many", "session", "warned")
FLEETS = ("fleet", "fleet-green", "fleet-hostile", "fleet-many", "fleet-warned")
HOUR = 3600.0


def history(inventory: str, verdict: str, now: float) -> History:
    """Return a history of a few days, with every kind of change in it, up to *verdict*."""
    entry = Failing("link_is_shared", "backup", "projects", None, "divergent", now - HOUR)
    home = Failing("home_is_usable", "backup", None, None, "missing", now - 30 * HOUR)
    hung = "no verdict within 30 s, hung at backup projects (/home/claude/.claude-backup)"

    def change(hours: float, verdict: str, **more: Any) -> Change:
        names: dict[str, Any] = {"reason": None, "appeared": (), "mended": (), "more": 0}
        names |= {"failures": 0, **more}
        return Change(now - hours * HOUR, inventory, verdict, **names)

    changes = [
        change(140, "green"),
        change(60, "unknown", reason=hung),
        change(59.5, "green"),
        change(30, "red", appeared=(home,), failures=1),
        change(29, "green", mended=(home,)),
    ]
    if verdict == "red":
        changes.append(change(1, "red", appeared=(entry,), failures=1))
    if verdict == "unknown":
        changes.append(change(1, "unknown", reason=hung))
    standing = (entry,) if verdict == "red" else ()
    return History(inventory, verdict, changes[-1].at, standing, tuple(changes))


def drawn(told: Told, kind: str) -> str:
    """Return the page of one of ``KINDS``."""
    if kind == "hostile":
        told.tell(spoil(told.document("red"), "".join(TEXTS)))
    elif kind == "many":
        told.tell(_many(told))
    elif kind == "session":
        document = told.document("green")
        detail = "it ended at once (exit code 127)"
        document["failover"]["sessions"][0] |= {"state": "failed", "detail": detail}
        told.tell(document)
    elif kind == "warned":
        told.warned("green")
    else:
        told.case(kind)
    now, reading = time.time(), told.reading()
    verdict = reading.verdict.value
    past = History() if kind == "missing" else history(str(told.vm.inventory), verdict, now)
    return page(reading, past, now)


def _many(told: Told) -> Mapping[str, Any]:
    """Return the report of sixty accounts, three of which are not all right."""
    names = [f"account-{number:02}" for number in range(MANY)]
    told.vm.accounts = names
    told.vm.write()
    document = told.document("red")
    (failure,) = document["failover"]["failures"]
    wrong = {"account-07": "missing", "account-23": "real-directory", "account-41": "divergent"}
    stage = {"outcome": "passed", "duration": 0.001}
    passed = dict.fromkeys(("setup", "call", "teardown"), stage)
    tests, failures = [], []
    for name in names:
        tests.append(f"test_homes.py::test_home_is_usable[{name}]")
        for link in ("session-env", "file-history", "projects"):
            nodeid = f"test_links.py::test_link_is_shared[{name}-{link}]"
            if name in wrong and link == "projects":
                about = {"account": name, "nodeid": f"invariants/{nodeid}", "state": wrong[name]}
                failures.append(failure | about)
            else:
                tests.append(nodeid)
    for link in ("session-env", "file-history", "projects"):
        tests.append(f"test_targets.py::test_target_is_usable[{link}]")
    document["tests"] = [
        {"nodeid": f"invariants/{nodeid}", "outcome": "passed", **passed} for nodeid in tests
    ]
    expected = len(tests) + len(failures)
    document["failover"] |= {"failures": failures, "expected": expected, "passed": len(tests)}
    document["failover"]["sessions"] = []
    return document


def fleet(kind: str) -> Fleet:
    """Return the fleet of one of ``FLEETS``."""
    now, gathering = time.time(), Gathering(900.0)

    def add(name: str, what: str, **key: Any) -> None:
        document = report(name, what, now - (7200 if what == "stale" else 10))
        document["failover"] |= key
        content = json.dumps(document).encode()
        gathering.add(told(Source(f"reports/{name}/report.json", name, content), 900.0))

    if kind in ("fleet-green", "fleet-warned"):
        for number in range(3):
            add(f"vm-{number}", "green" if kind == "fleet-green" else "warned")
        return gathering.fleet()
    for number in range(MANY_VMS if kind == "fleet-many" else 10):
        add(f"vm-{number:03}", MIX[-number % len(MIX)])
    gathering.add(told(Source("reports/vm-torn/report.json", "vm-torn", b"{"), 900.0))
    if kind == "fleet-hostile":
        for number, text in enumerate(TEXTS):
            document = spoil(report(text, "red", now - 10), text)
            content = json.dumps(document).encode()
            gathering.add(told(Source(text, f"{number}{text}", content), 900.0))
            add(f"odd-{number}", "unknown", reason=text, off={text: text})
    return gathering.fleet(["vm-000", "vm-absent"], "hosts.txt")


def drawn_fleet(kind: str) -> str:
    """Return the page of one of ``FLEETS``."""
    return fleet_page(fleet(kind))
