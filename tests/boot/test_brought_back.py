"""A session that dies is back by its policy, behind the gate, and not for ever."""

from __future__ import annotations

import pytest

from tests.boot.deployed import INVENTORY, Deployed
from tests.boot.test_running import broken
from tests.vm import wait_until

POLICY = 'restart = "on-failure"'
PATH, SERVICE = "claude-failover-died.path", "claude-failover-died.service"
DIES = '[[sessions]]\nname = "dies"\naccount = "primary"\ndirectory = "/"\ncommand = ["false"]\n'


def running(deployed: Deployed) -> list[int]:
    deployed.prepare(keys=POLICY)
    deployed.ensure()
    assert 0 == deployed.restart(), deployed.errors()
    assert 2 == len(deployed.pids())
    return deployed.pids()


def kill(deployed: Deployed, account: str, number: str = "KILL") -> int:
    (session,) = deployed.sessions()[account]
    deployed.machine.run("sh", "-c", f"kill -{number} {session.pid}")
    wait_until(lambda: session.pid not in deployed.pids(), "the session is gone")
    return session.pid


def is_idle(deployed: Deployed) -> bool:
    """Tell whether all word of deaths has been taken."""
    state = deployed.shown("ActiveState", SERVICE)
    return state == "inactive" and "waiting" == deployed.shown("SubState", PATH)


def test_killed_session_is_back_by_its_policy(deployed: Deployed) -> None:
    before = running(deployed)
    for signal in ("KILL", "TERM"):
        killed = kill(deployed, "primary", signal)
        wait_until(lambda: len(deployed.pids()) == 2, f"it is back after SIG{signal}", 60)
        assert killed not in deployed.pids()
        wait_until(lambda: deployed.report["verdict"] == "green", "the start is over")
    assert set(before) - set(deployed.pids()) == set(before) - {
        one.pid for one in deployed.sessions()["backup"]
    }
    states = {one["name"]: one["state"] for one in deployed.report["sessions"]}
    assert {"api": "started", "docs": "running"} == states
    (back,) = deployed.sessions()["primary"]
    assert ("-session-api" in back.unit) == (deployed.backend == "systemd")


def test_killed_session_is_not_back_behind_a_broken_link(deployed: Deployed) -> None:
    running(deployed)
    mend = broken(deployed)
    kill(deployed, "primary")
    wait_until(lambda: deployed.shown("ExecMainStatus", SERVICE) == "1", "it was refused", 60)
    assert "red" == deployed.report["verdict"]
    assert ["backup"] == list(deployed.sessions())
    deployed.as_user(mend)
    assert 0 == deployed.restart(), deployed.errors()
    assert 2 == len(deployed.pids())


def test_session_that_was_stopped_stays_so(deployed: Deployed) -> None:
    running(deployed)
    deployed.as_user(f"launcher --inventory {INVENTORY} down api")
    wait_until(lambda: is_idle(deployed), "word of the end was taken", 60)
    deployed.systemctl("start", SERVICE)
    assert ["backup"] == list(deployed.sessions())


@pytest.mark.parametrize("manager", ["system"])
def test_session_that_dies_and_dies_is_left_alone(deployed: Deployed) -> None:
    before = running(deployed)
    machine = deployed.machine
    text = machine.path(INVENTORY).read_text()
    machine.write(INVENTORY, text.replace("[launcher]", f"{DIES}{POLICY}\n[launcher]"))
    deployed.as_user(f"launcher --inventory {INVENTORY} up", check=False)
    wait_until(lambda: deployed.shown("ActiveState", PATH) == "failed", "it gives up", 90)
    assert before == deployed.pids()
    assert "69" == deployed.shown("ExecMainStatus", SERVICE)
    assert 5 == len(machine.journal(SERVICE, "-p", "err", "-g", "session dies"))
    machine.write(INVENTORY, text)
    deployed.systemctl("reset-failed")
    assert 0 == deployed.restart(), deployed.errors()
    assert "active" == deployed.shown("ActiveState", PATH)
