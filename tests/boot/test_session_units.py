"""Sessions that systemd keeps: units of their own, with limits, and nothing to be seen in them."""

from __future__ import annotations

import json

import pytest

from tests.boot.deployed import HOME, INVENTORY, UID, UNIT, Deployed, put_claude
from tests.boot.machine import Machine
from tests.vm import wait_until

KEYS = """\
restart = "on-failure"
limits = { MemoryMax = "200M", CPUWeight = 50, TasksMax = 64 }
pass_environment = ["ANTHROPIC_API_KEY"]
"""
SECRET = "sk-nobody-may-see-this"
UNITS = ("claude-failover-session-api.service", "claude-failover-session-docs.service")


@pytest.fixture
def backend() -> str:
    """Return what keeps the sessions here."""
    return "systemd"


@pytest.fixture
def running(deployed: Deployed) -> Deployed:
    """Return a machine on which both sessions run, one account's key in their environment."""
    deployed.prepare(keys=KEYS)
    deployed.ensure()
    deployed.drop_in(UNIT, f"[Service]\nEnvironment=ANTHROPIC_API_KEY={SECRET}\n")
    assert 0 == deployed.restart(), deployed.errors()
    assert 2 == len(deployed.pids())
    return deployed


def show(deployed: Deployed, unit: str, name: str) -> str:
    return deployed.systemctl_of_the_user("show", "-P", name, unit).stdout.strip()


def test_session_has_its_limits_and_no_more_to_be_seen(running: Deployed) -> None:
    machine = running.machine
    for unit in UNITS:
        limits = {name: show(running, unit, name) for name in ("MemoryMax", "CPUWeight")}
        assert {"MemoryMax": str(200 * 1024**2), "CPUWeight": "50"} == limits
        assert "64" == show(running, unit, "TasksMax")
        group = machine.path(f"/sys/fs/cgroup{show(running, unit, 'ControlGroup')}")
        for file, limit in (("memory.max", limits["MemoryMax"]), ("pids.max", "64")):
            if (group / file).exists():  # the tests' own machine may have no controllers to give
                assert limit == (group / file).read_text().strip()
        assert SECRET not in running.systemctl_of_the_user("show", unit).stdout
        assert SECRET not in running.systemctl_of_the_user("cat", unit).stdout
    for sessions in running.sessions().values():
        assert [SECRET] == [one.environ["ANTHROPIC_API_KEY"] for one in sessions]
    for process in machine.processes():
        assert SECRET not in " ".join(process.command)
        mine = process.environ.get("CLAUDE_FAILOVER_SESSION")
        assert (SECRET in process.environ.values()) == bool(mine)


def test_end_of_a_session_is_told_by_its_unit_and_in_the_journal(running: Deployed) -> None:
    running.drop_in("claude-failover-died.service", "[Service]\nExecStart=\nExecStart=/bin/false\n")
    (session,) = running.sessions()["primary"]
    running.machine.run("sh", "-c", f"kill -SEGV {session.pid}")
    wait_until(lambda: show(running, UNITS[0], "ActiveState") == "failed", "the unit fails")
    assert "11" == show(running, UNITS[0], "ExecMainStatus")

    def said() -> list[str]:
        ours = running.machine.journal(f"user@{UID}.service", f"_SYSTEMD_USER_UNIT={UNITS[0]}")
        return [str(entry["MESSAGE"]) for entry in ours]

    wait_until(lambda: len(said()) > 1, "the journal has what it said last")
    assert ["its terminal", f"{said()[-1].split()[0]} says hello"] == [
        line.partition(": ")[0] for line in said()
    ]
    status = running.as_user(f"launcher --inventory {INVENTORY} status", check=False).stdout
    assert "ended by signal 11" in status
    assert 0 == running.restart(), running.errors()
    assert 2 == len(running.pids())


def test_tmux_server_that_is_killed_takes_one_session_and_it_is_back(running: Deployed) -> None:
    before = {account: one.pid for account, (one,) in running.sessions().items()}
    (server,) = (one for one in running.tmux_servers() if one.unit == UNITS[0])
    running.machine.run("sh", "-c", f"kill -KILL {server.pid}")
    wait_until(lambda: before["primary"] not in running.pids(), "its session is gone")
    wait_until(lambda: len(running.pids()) == 2, "it is back", 60)
    assert before["backup"] in running.pids()


def test_lost_socket_hides_no_session_and_doubles_none(running: Deployed) -> None:
    before = running.pids()
    running.as_user(f"rm /tmp/tmux-{UID}/claude-failover.*")
    assert 0 == running.restart(), running.errors()
    assert before == running.pids()
    status = running.as_user(f"launcher --inventory {INVENTORY} status").stdout
    assert 2 == status.count("whose tmux server does not answer")
    running.as_user(f"launcher --inventory {INVENTORY} down")
    assert [] == running.pids()


def test_sessions_are_seen_and_stopped_after_another_backend_was_chosen(running: Deployed) -> None:
    before = running.pids()
    machine = running.machine
    text = machine.path(INVENTORY).read_text().replace('"systemd"', '"tmux"')
    machine.write(INVENTORY, text.replace('limits = { MemoryMax = "200M"', "#"))
    running.install()
    assert 0 == running.restart(), running.errors()
    assert before == running.pids()
    running.as_user(f"launcher --inventory {INVENTORY} down")
    assert [] == running.pids()
    states = "active,activating,deactivating,failed"  # one that has ended may stay loaded
    listed = ("list-units", f"--state={states}", "-q", "*-session-*")
    wait_until(lambda: "" == running.systemctl_of_the_user(*listed).stdout, "the units have ended")


def test_launcher_inside_a_session_does_not_end_itself(running: Deployed) -> None:
    """Claude Code runs commands, and one of them may be ``launcher down``."""
    down = f"setsid launcher --inventory {INVENTORY} down api --json > /tmp/told 2>&1"
    running.as_user(f'tmux -L claude-failover.api run-shell -b "{down}"')
    told = running.machine.path("/tmp/told")
    wait_until(lambda: told.exists() and told.read_text().endswith("\n"), "down has ended", 60)
    assert [("api", "stopped")] == [
        (one["name"], one["state"]) for one in json.loads(told.read_text())["sessions"]
    ]
    running.systemctl("start", "claude-failover-died.service")
    assert ["backup"] == list(running.sessions())


@pytest.mark.parametrize("manager", ["system"])
def test_user_without_a_manager_is_told_how_to_have_one(deployed: Deployed) -> None:
    deployed.prepare()
    deployed.ensure()
    deployed.machine.run("loginctl", "disable-linger", "claude")
    deployed.machine.run("systemctl", "stop", f"user@{UID}.service")
    told = deployed.machine.run(
        *("setpriv", f"--reuid={UID}", f"--regid={UID}", "--init-groups"),
        *("env", f"HOME={HOME}", "launcher", "--inventory", INVENTORY, "up"),
        check=False,
    )
    assert 1 == told.returncode
    assert "fix loginctl enable-linger claude" in " ".join(told.stdout.split())
    assert [] == deployed.pids()


def test_root_s_sessions_are_units_of_the_system(machine: Machine) -> None:
    lines = ["[shared]", 'root = "~/shared"', "[[accounts]]", 'name = "primary"', 'home = "~/home"']
    lines += ["[[sessions]]", 'name = "api"', 'account = "primary"', 'directory = "/"']
    lines += ['command = ["claude"]', KEYS, "[launcher]", 'backend = "systemd"', "settle = 0.2", ""]
    machine.write(INVENTORY, "\n".join(lines))
    put_claude(machine)
    machine.boot()
    machine.shell("launcher ensure --create-homes && launcher install --for root")
    machine.shell("cd / && CLAUDE_CONFIG_DIR=$HOME/home claude")  # its first start, by hand
    machine.shell("systemctl start claude-failover")

    def session() -> int:
        found = [one for one in machine.processes() if one.unit == UNITS[0]]
        return next((one.pid for one in found if one.command[0] == "sleep"), 0)

    before = session()
    assert before
    assert "64" == machine.shown(UNITS[0], "TasksMax")
    machine.shell("systemctl stop claude-failover")
    assert before == session()
    machine.run("sh", "-c", f"kill -KILL {before}")
    wait_until(lambda: session() not in (0, before), "it is back", 60)
    machine.shell("launcher down")
    assert 0 == session()
