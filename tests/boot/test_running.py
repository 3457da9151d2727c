"""What runs goes on running, whatever becomes of the launcher's unit."""

from __future__ import annotations

import os

from tests.boot.deployed import EACH_ONCE, EVERY_BACKEND, INVENTORY, UNIT, Deployed
from tests.vm import wait_until

QUICK = "[Service]\nRestartSec=100ms\n"


def broken(deployed: Deployed) -> str:
    """Let a link lead elsewhere; return the line that mends it."""
    entry = f"{deployed.home('backup')}/projects"
    deployed.as_user(
        f"mv {entry} {entry}.right && mkdir -p ~/elsewhere && ln -s ~/elsewhere {entry}"
    )
    return f"rm {entry} && mv {entry}.right {entry}"


def running(deployed: Deployed) -> list[int]:
    """Start everything; return the sessions' pids."""
    deployed.prepare()
    deployed.ensure()
    assert 0 == deployed.restart(), deployed.errors()
    pids = deployed.pids()
    assert 2 == len(pids)
    return pids


def test_link_broken_while_it_runs_stops_the_next_start_and_no_session(deployed: Deployed) -> None:
    before = running(deployed)
    mend = broken(deployed)
    assert 0 != deployed.restart()
    assert ("failed", "1") == deployed.result
    assert before == deployed.pids()
    assert "red" == deployed.report["verdict"]
    assert ["backup projects: divergent"] == [
        error.partition(": expected ")[0] for error in deployed.errors()
    ]
    (killed,) = deployed.sessions()["primary"]
    deployed.machine.run("sh", "-c", f"kill -KILL {killed.pid}")
    wait_until(lambda: "primary" not in deployed.sessions(), "the killed session is gone")
    assert 0 != deployed.restart()
    assert "primary" not in deployed.sessions()
    deployed.as_user(mend)
    assert 0 == deployed.restart(), deployed.errors()
    assert "green" == deployed.report["verdict"]
    after = deployed.pids()
    assert 2 == len(after)
    assert {killed.pid} == set(before) - set(after)


@EVERY_BACKEND
def test_no_call_of_systemd_ends_a_session(deployed: Deployed) -> None:
    before = running(deployed)
    for call in ("stop", "start", "restart", "try-restart"):
        deployed.systemctl(call, UNIT)
        assert before == deployed.pids(), call
    for call in ("daemon-reload", "daemon-reexec"):
        deployed.systemctl(call)
        assert before == deployed.pids(), call
    deployed.systemctl("restart", "claude-failover-spawn.socket")
    assert before == deployed.pids()
    broken(deployed)
    assert 0 != deployed.restart()
    assert ("failed", "1") == deployed.result
    deployed.systemctl("reset-failed")
    deployed.systemctl("stop", UNIT)
    assert before == deployed.pids()


@EVERY_BACKEND
def test_launcher_that_is_killed_at_work_takes_no_session_with_it(deployed: Deployed) -> None:
    before = running(deployed)
    deployed.drop_in(UNIT, QUICK)
    deployed.systemctl("stop", UNIT)
    deployed.systemctl("start", "--no-block", UNIT)
    wait_until(lambda: deployed.shown("ActiveState") == "activating", "it is at work")
    deployed.systemctl("kill", "--signal=KILL", "--kill-whom=main", UNIT, check=False)
    wait_until(lambda: deployed.result == ("active", "0"), "it was started again", 60)
    assert "1" == deployed.shown("NRestarts")
    assert before == deployed.pids()


def test_removal_of_the_units_leaves_sessions_and_reboot_starts_none(deployed: Deployed) -> None:
    before = running(deployed)
    assert "claude-failover.service" in deployed.install("--remove")
    assert before == deployed.pids()
    deployed.systemctl("daemon-reload")
    assert before == deployed.pids()
    assert "nothing to do\n" == deployed.install("--remove")
    deployed.machine.reboot()
    assert [] == deployed.pids()


def test_same_sessions_run_again_after_a_reboot_without_power_down(deployed: Deployed) -> None:
    running(deployed)
    machine = deployed.machine
    machine.kill()
    os.sync()
    machine.boot()
    deployed.settled()
    assert ("active", "0") == deployed.result
    assert {"primary": 1, "backup": 1} == {
        account: len(found) for account, found in deployed.sessions().items()
    }


@EACH_ONCE
def test_session_that_does_not_come_up_is_retried_and_then_left_alone(deployed: Deployed) -> None:
    pids = running(deployed)
    machine = deployed.machine
    text = machine.path(INVENTORY).read_text()
    third = '[[sessions]]\nname = "dies"\naccount = "primary"\ndirectory = "/"\n'
    machine.write(INVENTORY, text.replace("[launcher]", f'{third}command = ["false"]\n[launcher]'))
    deployed.drop_in(UNIT, QUICK)
    assert 0 != deployed.restart()
    wait_until(lambda: deployed.shown("ActiveState") == "failed", "it gives up", 60)
    assert "69" == deployed.result[1]
    assert pids == deployed.pids()
    assert 4 * ["session dies of primary: failed: it exited with status 1"] == deployed.errors()


@EACH_ONCE
def test_wrong_inventory_fails_the_unit_without_a_second_try(deployed: Deployed) -> None:
    pids = running(deployed)
    machine = deployed.machine
    machine.write(INVENTORY, machine.path(INVENTORY).read_text() + "speling = 1\n")
    assert 0 != deployed.restart()
    assert ("failed", "78") == deployed.result
    assert "0" == deployed.shown("NRestarts")
    assert any("speling" in error for error in deployed.errors())
    assert pids == deployed.pids()
    assert "unknown" == deployed.report["verdict"]
