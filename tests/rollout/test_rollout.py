"""Five machines: one bare, one divergent, one green, one with a hung home, one unreachable."""

from __future__ import annotations

from pathlib import Path

from tests.boot.deployed import HOME, SHARED, Deployed
from tests.boot.tree import Tree
from tests.rollout.conftest import ACCOUNTS, Booted, log_in, variables
from tests.rollout.control import Control, Played
from tests.vm import LINKS

_SECRET = "sk-ant-canary-0123456789"  # what no run may carry away from a home
_HOSTS = {"green": 1, "unreachable": 2, "divergent": 3, "hung": 4, "bare": 5}


def _diverge(deployed: Deployed) -> None:
    for account in ACCOUNTS:
        entry = f"{deployed.home(account)}/projects"
        deployed.as_user(f"mkdir -p ~/elsewhere; rm {entry}; ln -s ~/elsewhere {entry}")


def _hang(deployed: Deployed) -> None:
    """Mount a file server on a home that answers once and then never again."""
    deployed.as_user("mkdir ~/elsewhere")
    home = deployed.home("backup")
    options = "nonempty,attr_timeout=0"
    deployed.machine.run("bindfs", "-o", options, f"{HOME}/elsewhere", home)
    deployed.machine.run("pkill", "-STOP", "-x", "bindfs")


def _keep_a_secret(deployed: Deployed) -> None:
    for account in ACCOUNTS:
        deployed.as_user(
            f'umask 077; echo \'{{"key": "{_SECRET}"}}\' > {deployed.home(account)}/.secret.json'
        )


def _told(played: Played, host: str) -> str:
    """Return what the run printed of a failure of *host*'s."""
    return played.output.partition(f"fatal: [{host}]: FAILED!")[2].partition("PLAY RECAP")[0]


def test_rollout_stops_where_it_must_and_brings_the_bare_one_to_a_green_boot(
    control: Control, boot: Booted, rolled_out: Tree, reachable: Tree, wheel: Path
) -> None:
    green = boot("green", 1, rolled_out).settled()
    divergent = boot("divergent", 3, rolled_out).settled()
    hung = boot("hung", 4, rolled_out).settled()
    bare = boot("bare", 5, reachable)
    _diverge(divergent)
    _hang(hung)
    _keep_a_secret(green)
    pids = green.pids()
    control.inventory(_HOSTS, variables(wheel))

    # It goes on behind the unreachable one, and stops at the divergent one.
    first = control.play("rollout.yml", "-vvv")
    assert 4 == first.code, first.output  # whatever else: one was not reached
    outcomes = {host: first.outcome(host) for host in _HOSTS}
    assert ("ok", "unreachable", "failed") == tuple(outcomes.values())[:3], first.output
    assert 1 == first.recap["hung"]["ok"]  # it answered, and nothing else was asked of it
    assert {} == first.changed, first.output
    assert "divergent is red" in _told(first, "divergent")
    for account in ACCOUNTS:
        failure = f"link_is_shared account {account} link projects: divergent: expected {SHARED}"
        assert failure in _told(first, "divergent")
    assert "red" == control.report("divergent")["verdict"]
    assert "divergent" == control.report("divergent")["host"]
    assert "green" == control.report("green")["verdict"]
    assert not (control.reports / "hung").exists()
    assert not bare.machine.path("/etc/claude-failover").exists()
    assert pids == green.pids()

    # Without it, it stops at the one that cannot be judged.
    second = control.play("rollout.yml", "--limit", "!divergent")
    assert "failed" == second.outcome("hung"), second.output
    assert "hung is unknown" in _told(second, "hung")
    assert f"{HOME}/.claude-backup" in _told(second, "hung")
    assert "unknown" == control.report("hung")["verdict"]
    assert {} == second.changed, second.output
    assert not bare.machine.path("/etc/claude-failover").exists()

    # A new one is red until somebody has logged in; then it is green, and stays so.
    third = control.play("rollout.yml", "--limit", "bare,green")
    assert 2 == third.code, third.output
    assert ["bare"] == list(third.changed)
    assert all(f"account {account}" in _told(third, "bare") for account in ACCOUNTS), third.output
    assert "red" == control.report("bare")["verdict"]
    assert [] == bare.pids()
    log_in(bare)
    fourth = control.play("rollout.yml", "--limit", "bare,green")
    assert 0 == fourth.code, fourth.output
    assert {"bare": ["Put the units in place", "Start what does not run"]} == fourth.changed
    assert "green" == control.report("bare")["verdict"]
    assert ["running"] * 2 == [one["state"] for one in control.report("bare")["sessions"]]
    before = bare.machine.boot_id
    bare.machine.reboot()
    bare.settled()
    assert before != bare.machine.boot_id
    assert ("active", "0") == bare.result
    assert 2 == len(bare.pids())
    again = control.play("rollout.yml", "--limit", "bare,green")
    assert (0, {}) == (again.code, again.changed), again.output
    assert pids == green.pids()

    # Every report at once, whatever the verdict.
    everywhere = control.play("check.yml")
    assert {} == everywhere.changed
    assert {
        "green": "green",
        "divergent": "red",
        "hung": "unknown",
        "bare": "green",
    } == {host: control.report(host)["verdict"] for host in _HOSTS if host != "unreachable"}
    assert "unreachable" == everywhere.outcome("unreachable")
    assert not (control.reports / "unreachable").exists()
    for played in (first, second, third, fourth, again, everywhere):
        assert _SECRET not in played.output
    assert all(_SECRET.encode() not in path.read_bytes() for path in control.files())
    assert len(LINKS) * len(ACCOUNTS) == sum(map(_is_link, bare.entries(), [bare] * 6))


def _is_link(entry: str, deployed: Deployed) -> bool:
    return deployed.machine.run("test", "-L", entry, check=False).returncode == 0
