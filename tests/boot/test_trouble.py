"""Machines in trouble: never green, never a hang, and the rest of the boot goes on."""

from __future__ import annotations

import json
import time

import pytest

from tests.boot.deployed import EACH_ONCE, HOME, INVENTORY, UID, UNIT, Deployed

_HUNG = f"""\
[Unit]
Description=A file server that answers once and then never again
Before={UNIT} user@{UID}.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/bindfs -o nonempty,attr_timeout=0 {HOME}/elsewhere {HOME}/.claude-backup
ExecStart=/usr/bin/pkill -STOP -x bindfs
[Install]
WantedBy=multi-user.target
"""
_ANOTHER = "[Service]\nExecStart=/usr/bin/sleep 1000\n[Install]\nWantedBy=multi-user.target\n"


def test_hung_file_system_under_a_home_is_unknown_and_the_boot_goes_on(deployed: Deployed) -> None:
    machine = deployed.prepare(more="timeout = 3").machine
    deployed.ensure()
    deployed.as_user("mkdir ~/elsewhere")
    machine.write("/etc/systemd/system/hung.service", _HUNG)
    machine.write("/etc/systemd/system/another.service", _ANOTHER)
    machine.run("systemctl", "enable", "hung.service", "another.service")
    began = time.monotonic()
    machine.reboot()
    deployed.settled()
    assert 30 > time.monotonic() - began
    assert ("failed", "70") == deployed.result
    assert "unknown" == deployed.report["verdict"]
    assert ({}, []) == (deployed.sessions(), deployed.tmux_servers())
    assert any("within 3 s" in error for error in deployed.errors())
    assert "active" == machine.shown("another.service", "ActiveState")
    assert "active" == machine.shown("multi-user.target", "ActiveState")
    assert "0" == deployed.shown("NRestarts")
    machine.run("pkill", "-CONT", "-x", "bindfs")
    machine.run("umount", f"{HOME}/.claude-backup")
    assert 0 == deployed.restart(), deployed.errors()
    assert 2 == len(deployed.pids())


@EACH_ONCE
def test_home_that_hangs_under_its_session_hangs_no_launcher(deployed: Deployed) -> None:
    machine = deployed.prepare(more="timeout = 3").machine
    deployed.ensure()
    assert 0 == deployed.restart(), deployed.errors()
    deployed.as_user("mkdir ~/elsewhere")
    over = ("-o", "nonempty,attr_timeout=0", f"{HOME}/elsewhere", f"{HOME}/.claude-backup")
    machine.run("bindfs", *over)
    machine.run("pkill", "-STOP", "-x", "bindfs")
    for words, code in (("check", 70), ("status", 70), ("up", 70), ("down", 0)):
        before = deployed.sessions()
        began = time.monotonic()
        told = deployed.as_user(f"launcher --inventory {INVENTORY} {words}", check=False)
        assert (words, code) == (words, told.returncode), told.stdout + told.stderr
        assert 30 > time.monotonic() - began, words
        assert words == "down" or before == deployed.sessions()
    assert [] == deployed.pids()


@EACH_ONCE
def test_full_disk_under_the_report_is_not_green(deployed: Deployed) -> None:
    machine = deployed.prepare(more='report = "/var/lib/reports/report.json"').machine
    deployed.ensure()
    options = f"size=16k,uid={UID}"
    machine.run("mount", "-m", "-t", "tmpfs", "-o", options, "tmpfs", "/var/lib/reports")
    deployed.install()
    machine.run("dd", "if=/dev/zero", "of=/var/lib/reports/filler", check=False)
    began = time.monotonic()
    assert 0 != deployed.restart()
    assert 30 > time.monotonic() - began
    assert ("failed", "70") == deployed.result
    assert ({}, []) == (deployed.sessions(), deployed.tmux_servers())
    assert not machine.path("/var/lib/reports/report.json").exists()
    assert any("cannot be published" in error for error in deployed.errors())


@EACH_ONCE
def test_read_only_root_is_not_green(deployed: Deployed) -> None:
    machine = deployed.prepare().machine
    deployed.ensure()
    assert 0 == deployed.restart(), deployed.errors()
    green = deployed.report
    machine.poweroff()
    machine.boot("--read-only")
    deployed.settled()
    assert ("failed", "70") == deployed.result
    assert ({}, []) == (deployed.sessions(), deployed.tmux_servers())
    assert green == deployed.report
    status = deployed.as_user(f"launcher --inventory {INVENTORY} status", check=False)
    assert 0 != status.returncode
    assert "before the last reboot" in status.stdout


@EACH_ONCE
def test_clock_set_back_by_a_year_makes_no_report_green(deployed: Deployed) -> None:
    deployed.prepare()
    deployed.ensure()
    assert 0 == deployed.restart(), deployed.errors()
    pids = deployed.pids()
    status = f"faketime -f -365d launcher --inventory {INVENTORY} status --json"
    told = deployed.as_user(status, check=False)
    assert 70 == told.returncode
    assert "the clock was set back" in json.loads(told.stdout)["report"]["problem"]
    library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
    deployed.drop_in(UNIT, f"[Service]\nEnvironment=LD_PRELOAD={library} FAKETIME=-365d\n")
    began = time.monotonic()
    assert 0 == deployed.restart(), deployed.errors()
    assert 30 > time.monotonic() - began
    assert pids == deployed.pids()
    a_year_ago = time.time() - 364 * 86400
    assert a_year_ago > deployed.report["finished"]


@pytest.mark.parametrize("manager", ["system"])  # a user's manager knows no mounts
def test_home_that_is_not_mounted_turns_the_report_red(deployed: Deployed) -> None:
    """Systemd does not even start the unit then: the check that it does start has to tell."""
    machine = deployed.prepare().machine
    deployed.ensure()
    assert 0 == deployed.restart(), deployed.errors()
    home = deployed.home("backup")
    deployed.as_user(f"mv {home} {home}.disk && mkdir -m 700 {home}")
    machine.write("/etc/fstab", f"nothing {home} nosuchfs nofail 0 0\n")
    machine.reboot()
    assert "inactive" == deployed.shown("ActiveState")
    assert ({}, []) == (deployed.sessions(), deployed.tmux_servers())
    deployed.systemctl("start", "claude-failover-check.service", check=False)
    assert "red" == deployed.report["verdict"]
    assert deployed.report["boot_id"] == machine.boot_id
    machine.write("/etc/fstab", f"{home}.disk {home} none bind,nofail 0 0\n")
    machine.reboot()
    assert ("active", "0") == deployed.result
    assert 2 == len(deployed.pids())
