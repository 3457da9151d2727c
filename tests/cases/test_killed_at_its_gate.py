"""A launcher is killed at its gate: the metrics of the green gate before it do not stay green."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cases.vm import said
from tests.formats.test_prometheus import of, samples
from tests.vm import Vm, wait_until

SLOW = '''\
import pathlib
import time

def test_slow():
    """It takes as long as a file is there."""
    here = pathlib.Path(__file__).parents[1]
    (here / "works").touch()
    while (here / "slow").exists():
        time.sleep(0.01)
    assert here
'''
AT_WORK = "CLAUDE_FAILOVER UNKNOWN - a launcher is at work, or was killed at it | "
GREEN = 'claude_failover_verdict{verdict="green"} 1.0'
UNKNOWN = 'claude_failover_verdict{verdict="unknown"} 1.0'


def verdict(metrics: Path) -> str:
    """Return the line of the verdict in the metrics, without the inventory's path."""
    (line,) = [
        re.sub('inventory=".*?",', "", line)
        for line in metrics.read_text().splitlines()
        if line.startswith("claude_failover_verdict{") and line.endswith(" 1.0")
    ]
    return line


@pytest.fixture
def metrics(vm: Vm) -> Path:
    """Return where a VM has its metrics whose gate can be held up."""
    own = vm.root / "own"
    own.mkdir(mode=0o755)
    (own / "test_slow.py").write_text(SLOW)
    vm.write(invariants=[str(own)], prometheus=str(vm.root / "x.prom"), timeout=60)
    return vm.root / "x.prom"


@pytest.mark.thorough
def test_metrics_are_unknown_after_a_kill_and_the_rest_of_them_stays(vm: Vm, metrics: Path) -> None:
    assert 0 == vm.run("check").returncode
    assert GREEN == verdict(metrics)
    finished = samples(metrics.read_text())[of("last_run_timestamp_seconds")]
    (vm.root / "works").unlink()
    (vm.root / "slow").touch()
    vm.diverge()
    command = [sys.executable, "-m", "launcher", "--inventory", str(vm.inventory), "check"]
    with subprocess.Popen(command, env=vm.environ, cwd=vm.root) as process:
        wait_until((vm.root / "works").exists, "its gate is at work")
        process.kill()
    status = vm.run("status", "--format", "nagios")
    assert said(status)[0].startswith(AT_WORK), said(status)
    assert UNKNOWN == verdict(metrics)
    seen = samples(metrics.read_text())
    assert (finished, 22) == (seen[of("last_run_timestamp_seconds")], seen[of("checks_passed")])
    (vm.root / "slow").unlink()
    assert 1 == vm.run("check").returncode
    assert 'claude_failover_verdict{verdict="red"} 1.0' == verdict(metrics)


def test_metrics_are_green_again_after_a_gate_that_ends(vm: Vm, metrics: Path) -> None:
    for _ in range(2):
        assert 0 == vm.run("check").returncode
        assert GREEN == verdict(metrics)
