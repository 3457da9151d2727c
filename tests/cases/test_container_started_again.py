"""A container is started again under its machine's boot id: its report is of an earlier life."""

from __future__ import annotations

from launcher.processes import container_uptime
from tests.cases.vm import said
from tests.places import NEEDS_ROOT, Place, place
from tests.vm import Vm

EARLIER = "CLAUDE_FAILOVER UNKNOWN - it is from before this container was started | "
GREEN = "CLAUDE_FAILOVER OK - all 21 invariants hold | "

pytestmark = NEEDS_ROOT


def status(vm: Vm, where: Place | None) -> tuple[int, str]:
    done = vm.run("status", "--format", "nagios", prefix=where.prefix if where else [])
    return done.returncode, said(done)[0]


def test_report_of_an_earlier_life_does_not_count(vm: Vm) -> None:
    with place(vm, "one") as one:
        assert 0 == vm.run("check", prefix=one.prefix).returncode
        code, line = status(vm, one)
        assert (0, True) == (code, line.startswith(GREEN)), line
    code, line = status(vm, None)
    assert (0, True) == (code, line.startswith(GREEN)), f"the machine has not restarted: {line}"
    with place(vm, "two") as again:
        code, line = status(vm, again)
        assert (3, True) == (code, line.startswith(EARLIER)), line
        assert 70 == vm.run("status", prefix=again.prefix).returncode
        assert 0 == vm.run("check", prefix=again.prefix).returncode
        assert 0 == status(vm, again)[0]


def test_report_of_the_machine_counts_in_a_container_that_is_younger(vm: Vm) -> None:
    """A monitor may run in a container that is made for each look."""
    assert 0 == vm.run("check").returncode
    with place(vm, "monitor") as monitor:
        code, line = status(vm, monitor)
        expected = (0, GREEN) if container_uptime() is None else (3, EARLIER)  # we may be in one
        assert expected == (code, line[: len(expected[1])]), line


def test_first_process_that_cannot_be_seen_leaves_it_to_the_boot_id(vm: Vm) -> None:
    hidden = ["unshare", "--mount", "sh", "-ec", 'mount -t tmpfs none /proc/1; exec "$@"', "sh"]
    assert 0 == vm.run("check", prefix=hidden).returncode
    done = vm.run("status", "--format", "nagios", prefix=hidden)
    assert (0, True) == (done.returncode, said(done)[0].startswith(GREEN)), said(done)
