"""``docs/deploy.md``: its very commands lead from a bare Debian to a green boot."""

from __future__ import annotations

from tests.boot.deployed import UNIT, Deployed, put_claude
from tests.boot.machine import Machine
from tests.boot.page import deployment


def test_commands_of_the_page_lead_from_a_bare_debian_to_a_green_boot(
    bare_machine: Machine,
) -> None:
    put_claude(bare_machine)
    bare_machine.boot()
    for line in deployment():
        bare_machine.shell(line)
    deployed = Deployed(bare_machine, "system", "tmux")
    assert ("active", "0") == deployed.result
    bare_machine.reboot()
    assert ("active", "0") == deployed.result
    assert "green" == deployed.report["verdict"]
    assert ["primary"] == list(deployed.sessions())
    assert [] == deployed.errors()
    assert "enabled" == deployed.systemctl("is-enabled", UNIT).stdout.strip()


def test_page_takes_less_than_ten_commands() -> None:
    assert 10 > len(deployment())
