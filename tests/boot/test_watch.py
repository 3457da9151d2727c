"""The watch as a unit: it keeps the report true from the boot on, and answers who asks."""

from __future__ import annotations

import pytest

from tests.boot.deployed import EACH_ONCE, INVENTORY, UID, Deployed
from tests.boot.test_running import broken
from tests.vm import wait_until

WATCH, TIMER = "claude-failover-watch.service", "claude-failover-check.timer"
PLACES = {"system": "/tmp/watch.sock", "user": f"/run/user/{UID}/watch.sock"}
ASK = """\
import socket, sys
with socket.socket(socket.AF_UNIX) as client:
    client.connect(sys.argv[1])
    client.sendall(b"GET /healthz HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n")
    print(client.makefile().read())
"""


def verdict_is(deployed: Deployed, verdict: str) -> None:
    wait_until(lambda: deployed.report["verdict"] == verdict, f"the report is {verdict}", 60)


@pytest.fixture
def watched(deployed: Deployed) -> Deployed:
    """Return a machine whose watch runs, after a boot that was green."""
    deployed.prepare()
    deployed.ensure()
    deployed.install("--watch")
    deployed.machine.reboot()
    deployed.settled()
    wait_until(lambda: deployed.shown("ActiveState", WATCH) == "active", "the watch runs", 60)
    verdict_is(deployed, "green")
    return deployed


@EACH_ONCE
def test_watch_keeps_the_report_true_from_the_boot_on(watched: Deployed) -> None:
    assert "inactive" == watched.shown("ActiveState", TIMER)
    assert 2 == len(watched.pids())
    before = watched.pids()
    mend = broken(watched)
    verdict_is(watched, "red")
    wait_until(lambda: "red: 1 of" in watched.shown("StatusText", WATCH), "systemd knows it", 60)
    watched.systemctl("reload", WATCH)
    watched.as_user(mend)
    verdict_is(watched, "green")
    assert before == watched.pids()
    assert "active" == watched.shown("ActiveState", WATCH)


@EACH_ONCE
def test_watch_that_is_killed_takes_green_back_and_is_there_again(watched: Deployed) -> None:
    watched.drop_in(WATCH, "[Service]\nRestartSec=infinity\n")
    pid = watched.shown("MainPID", WATCH)
    watched.machine.run("kill", "-KILL", pid)
    verdict_is(watched, "unknown")
    told = watched.as_user(f"launcher --inventory {INVENTORY} status --format nagios", check=False)
    assert 3 == told.returncode
    watched.drop_in(WATCH, "[Service]\nRestartSec=0\n")
    watched.systemctl("restart", WATCH)
    verdict_is(watched, "green")
    watched.machine.run("kill", "-KILL", watched.shown("MainPID", WATCH))
    wait_until(lambda: watched.shown("NRestarts", WATCH) == "1", "systemd has it back", 60)
    verdict_is(watched, "green")


@EACH_ONCE
def test_watch_listens_in_its_unit_too(watched: Deployed) -> None:
    command = watched.shown("ExecStart", WATCH).partition("argv[]=")[2].partition(" ;")[0]
    place = PLACES[watched.manager]
    watched.machine.write("/usr/local/lib/ask.py", ASK)
    watched.drop_in(WATCH, f"[Service]\nExecStart=\nExecStart={command} --listen {place}\n")
    watched.systemctl("restart", WATCH)
    verdict_is(watched, "green")
    ask = f"python3 /usr/local/lib/ask.py {place}"
    assert "green: all" in watched.as_user(ask).stdout
    mend = broken(watched)
    wait_until(lambda: "red: 1 of" in watched.as_user(ask).stdout, "it answers red", 60)
    watched.as_user(mend)
    verdict_is(watched, "green")
    watched.systemctl("stop", WATCH)
    verdict_is(watched, "unknown")
    assert not watched.machine.path(place).exists()


@EACH_ONCE
def test_watch_beside_another_one_fails_and_is_left_alone(watched: Deployed) -> None:
    watched.systemctl("stop", WATCH)
    line = (
        f"setsid launcher --inventory {INVENTORY} watch < /dev/null > /tmp/by-hand 2>&1 & echo $!"
    )
    by_hand = int(watched.as_user(line).stdout)
    wait_until(lambda: watched.report.get("keeper", {}).get("pid") == by_hand, "it watches", 60)
    before = watched.report
    assert 0 != watched.systemctl("start", WATCH, check=False).returncode
    assert "failed" == watched.shown("ActiveState", WATCH)
    assert ("75", "0") == (
        watched.shown("ExecMainStatus", WATCH),
        watched.shown("NRestarts", WATCH),
    )
    assert before == watched.report
    watched.machine.run("kill", "-KILL", str(by_hand))
    watched.systemctl("start", WATCH)
    verdict_is(watched, "green")
    assert str(watched.report["keeper"]["pid"]) == watched.shown("MainPID", WATCH)
