"""The units themselves, as systemd judges them, and ``launcher install``."""

from __future__ import annotations

import re

import pytest

from launcher.units import UNITS
from tests.boot.deployed import EACH_ONCE, EVERY_BACKEND, HOME, Deployed
from tests.boot.page import PAGE
from tests.vm import wait_until

FOLDERS = {"system": "/etc/systemd/system", "user": f"{HOME}/.config/systemd/user"}


def content(deployed: Deployed) -> dict[str, str]:
    folder = deployed.machine.path(FOLDERS[deployed.manager])
    return {name: (folder / name).read_text() for name in UNITS if (folder / name).exists()}


@EVERY_BACKEND
def test_units_verify_without_a_word_and_have_the_exposure_of_the_page(deployed: Deployed) -> None:
    deployed.prepare()
    files = " ".join(f"{FOLDERS[deployed.manager]}/{name}" for name in UNITS)
    verify = f"systemd-analyze --{deployed.manager} verify --recursive-errors=yes {files}"
    if deployed.manager == "user":
        told = deployed.as_user(verify, check=False)
    else:
        told = deployed.machine.shell(verify, check=False)
    assert (0, "", "") == (told.returncode, told.stdout, told.stderr)
    for name in ("", "-check", "-died", "-watch") if deployed.manager == "system" else ():
        unit = f"claude-failover{name}.service"
        told = deployed.machine.run("systemd-analyze", "security", "--no-pager", unit)
        (exposure,) = re.findall(r"exposure level for \S+: ([0-9.]+) ", told.stdout)
        assert f"| `{unit}` | {deployed.backend} | {exposure} |" in PAGE.read_text()


@EACH_ONCE
def test_installation_is_idempotent_and_leaves_a_plan_and_an_edited_unit_alone(
    deployed: Deployed,
) -> None:
    deployed.prepare()
    before = content(deployed)
    assert set(UNITS) == set(before)
    assert "nothing to do\n" == deployed.install()
    assert "would remove" in deployed.install("--remove", "--dry-run")
    assert before == content(deployed)
    deployed.install("--remove")
    assert {} == content(deployed)
    assert "would write" in deployed.install("--dry-run")
    assert {} == content(deployed)
    deployed.install()
    assert before == content(deployed)
    edited = f"{FOLDERS[deployed.manager]}/claude-failover.service"
    deployed.machine.run("sed", "-i", "$ a # mine", edited)
    before = content(deployed)
    for option in ("", "--remove"):
        with pytest.raises(AssertionError, match="launcher: edited"):
            deployed.install(option)
        assert before == content(deployed)


@EACH_ONCE
def test_installation_looks_for_programs_with_the_path_of_the_unit(deployed: Deployed) -> None:
    deployed.prepare()
    assert "nothing to do\n" == deployed.install()  # the manager's PATH has the stand-in
    deployed.drop_in("claude-failover.service", "[Service]\nEnvironment=PATH=/usr/bin:/bin\n")
    told = deployed.install()
    assert "no such executable in PATH (/usr/bin:/bin)" in told
    assert "red at the next boot: 2 by the PATH of the units" in told


@EACH_ONCE
def test_timer_keeps_the_report_young_and_a_link_that_breaks_turns_it_red(
    deployed: Deployed,
) -> None:
    deployed.prepare()
    deployed.ensure()
    assert 0 == deployed.restart(), deployed.errors()
    quick = "[Timer]\nOnActiveSec=0\nOnUnitInactiveSec=100ms\nAccuracySec=1ms\n"
    deployed.drop_in("claude-failover-check.timer", quick)
    deployed.systemctl("restart", "claude-failover-check.timer")
    before = deployed.report["finished"]

    def new_and_green() -> bool:
        report = deployed.report  # unknown while the check is at work
        return bool(report["finished"] > before and report["verdict"] == "green")

    wait_until(new_and_green, "a new report is green")
    pids = deployed.pids()
    deployed.as_user(f"rm {deployed.home('primary')}/projects")
    wait_until(lambda: deployed.report["verdict"] == "red", "a red report")
    check = "claude-failover-check.service"
    wait_until(lambda: deployed.shown("ActiveState", check) == "failed", "the check fails")
    assert pids == deployed.pids()
