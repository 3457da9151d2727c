"""Readers in a loop: report and history are whole at any moment, through kills of their writer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from invariants.inventory import load
from launcher import history
from launcher.history import read
from tests.vm import CHECKOUT, Vm
from tests.watch.soak import holds, soak

_WRITER = """\
import itertools, sys
from dataclasses import replace
from invariants.inventory import load
from launcher.processes import identify
from launcher.report import published
from tests.test_history import failure, gate
inventory, keeper = load(sys.argv[1]), identify(1)
for number in itertools.count(int(sys.argv[2])):
    one = gate(number, *[failure("a")] * (number // 7 % 2))
    assert published(inventory, one, (), keeper=keeper) is one
    print(number, flush=True)
"""


def publish_and_kill(vm: Vm, publications: int) -> None:
    """Read all the time while writers publish, each of which is killed in the middle."""
    inventory = load(str(vm.inventory))
    done = reads = 0
    while done < publications:
        with subprocess.Popen(
            [sys.executable, "-c", _WRITER, inventory.path, str(done + 1)],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
        ) as writer:
            assert writer.stdout is not None
            assert b"\n" == writer.stdout.readline()[-1:]
            os.set_blocking(writer.stdout.fileno(), False)
            until = time.monotonic() + 1.5
            while time.monotonic() < until:
                assert vm.report["verdict"] in ("green", "red")
                assert read(history.place(inventory)).changes
                reads += 1
            writer.send_signal(signal.SIGKILL)
            told = writer.stdout.read() or b""
            done += 1 + told.count(b"\n")
            assert json.loads(vm.report_path.read_bytes())["failover"]["schema"]
    assert reads > 100
    assert {"report.json", "history.json"} <= {
        name for name in os.listdir(vm.state) if not name.startswith(".")
    }


@pytest.mark.thorough
def test_no_reader_sees_a_torn_file(vm: Vm) -> None:
    publish_and_kill(vm, 100)


@pytest.mark.thorough
def test_no_reader_sees_a_torn_file_in_ten_thousand_publications(vm: Vm) -> None:
    publish_and_kill(vm, 10_000)


@pytest.mark.thorough
def test_watch_holds_its_rules_for_a_while() -> None:
    """A sample of ``make soak``, which also measures: time, memory and descriptors."""
    result = soak(40, 0.02, seed=1)
    assert 0 == result["torn_count"]


@pytest.mark.thorough
def test_watch_holds_its_rules_for_longer() -> None:
    result = soak(2500, 0.02, seed=2)
    assert holds(result), result
