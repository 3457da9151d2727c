"""The three checks that used to be made by hand on each new VM, on a real boot."""

from __future__ import annotations

from tests.boot.deployed import EVERY_BACKEND, HOME, INVENTORY, SHARED, UNIT, Deployed
from tests.vm import LINKS, snapshot


def test_freshly_deployed_vm_refuses_to_start_without_the_links(deployed: Deployed) -> None:
    deployed.prepare()
    deployed.machine.reboot()
    deployed.settled()
    assert ("failed", "1") == deployed.result
    assert "0" == deployed.shown("NRestarts")
    assert ({}, []) == (deployed.sessions(), deployed.tmux_servers())
    assert "red" == deployed.report["verdict"]
    assert {"held"} == {session["state"] for session in deployed.report["sessions"]}
    errors = deployed.errors()
    for account in deployed.accounts:
        for link in LINKS:
            (error,) = (text for text in errors if text.startswith(f"{account} {link}: missing: "))
            assert f"expected symlink to {SHARED}/{link}; found nothing; fix: " in error
    targets = [text for text in errors if text.startswith("target of ")]
    assert len(LINKS) == len(targets)
    assert len(errors) == len(deployed.report["failures"]) == len(deployed.entries()) + len(targets)


def test_divergent_link_gives_an_explicit_error_and_nothing_is_destroyed(
    deployed: Deployed,
) -> None:
    deployed.prepare()
    deployed.ensure()
    primary, backup = map(deployed.home, deployed.accounts)
    deployed.as_user(
        f"mkdir ~/elsewhere && echo kept > ~/elsewhere/kept; cd {backup};"
        f"rm {primary}/projects && ln -s {HOME}/elsewhere {primary}/projects;"
        "rm session-env && mkdir -m 750 session-env && echo kept > session-env/kept;"
        "rm file-history && echo kept > file-history && chmod 640 file-history"
    )
    root = deployed.machine.root
    places = [root / path.lstrip("/") for path in (primary, backup, SHARED, f"{HOME}/elsewhere")]
    before = snapshot(*places)
    for _ in range(2):
        deployed.machine.reboot()
        deployed.settled()
        assert ("failed", "1") == deployed.result
        assert ({}, []) == (deployed.sessions(), deployed.tmux_servers())
        heads = {error.partition(": expected ")[0] for error in deployed.errors()}
        assert {
            "primary projects: divergent",
            "backup session-env: real-directory",
            "backup file-history: file",
        } == heads
        assert before == snapshot(*places)


@EVERY_BACKEND
def test_correct_links_boot_normally(deployed: Deployed) -> None:
    deployed.prepare()
    deployed.ensure()
    deployed.machine.reboot()
    deployed.settled()
    assert ("active", "0") == deployed.result
    assert ("green", []) == (deployed.report["verdict"], deployed.errors())
    assert deployed.machine.boot_id == deployed.report["boot_id"]
    assert 0 == deployed.as_user(f"launcher --inventory {INVENTORY} status").returncode
    sessions = deployed.sessions()
    assert dict.fromkeys(deployed.accounts, 1) == {
        account: len(running) for account, running in sessions.items()
    }
    for (running,) in sessions.values():
        assert "CLAUDE_FAILOVER_SPAWN" not in running.environ
        assert "INVOCATION_ID" not in running.environ
        assert (UNIT == running.unit) == (deployed.backend == "process")
        assert ("-session-" in running.unit) == (deployed.backend == "systemd")
    servers = {"process": 0, "tmux": 1, "systemd": 2}[deployed.backend]
    assert servers == len(deployed.tmux_servers())
