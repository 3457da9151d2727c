"""The child that judges own invariants, run as a program and function by function."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from invariants.inventory import load
from invariants.own.reading import read_own
from tests.vm import CHECKOUT, Vm

TESTS = """
import pytest

def test_said(account, session):
    assert account.name == "backup", "it is " + account.name

@pytest.mark.fix("look")
def test_silent():
    assert not [1, 2]

def test_error(link):
    raise OSError("gone")

def test_failed():
    pytest.fail("a" * 9000)
"""

RUN_FILE = """
import os, pickle, sys
from launcher.own_child import run_file
with open(sys.argv[1], "rb") as read:
    inventory, files = pickle.load(read)
current, document = os.open(sys.argv[2], os.O_RDWR), os.open(sys.argv[3], os.O_RDWR)
sys.exit(run_file(inventory, files[0], current, document))
"""


def given(vm: Vm) -> tuple[Path, Path, Path]:
    """Return what the child is given, and two empty files: the check under way, what it makes."""
    own = vm.root / "own"
    own.mkdir(mode=0o700)
    (own / "test_mine.py").write_text(TESTS)
    (own / "test_mine.py").chmod(0o600)
    vm.write({"api": ["sleep", "1"]}, invariants=[str(own)])
    files = read_own([str(own)]).files
    paths = (vm.root / "given", vm.root / "current", vm.root / "made")
    paths[0].write_bytes(pickle.dumps((load(str(vm.inventory)), files)))
    for path in paths[1:]:
        path.touch()
    return paths


def run(vm: Vm, *command: str, descriptors: tuple[int, ...] = ()) -> int:
    environ = {**os.environ, **vm.environ, "PYTHONPATH": str(CHECKOUT)}
    return subprocess.run(
        [sys.executable, *command],
        env=environ,
        pass_fds=descriptors,
        check=False,
        stdout=subprocess.DEVNULL,
        input=b"30\n",
    ).returncode


def outcomes(document: dict[str, Any], directory: Path) -> dict[str, str]:
    """Return what was found, or the outcome, of each test by its node id within *directory*."""
    return {
        test["nodeid"].removeprefix(f"{directory}/test_mine.py::"): test.get("metadata", {})
        .get("finding", {})
        .get("found", test["outcome"])
        for test in document["tests"]
    }


EXPECTED = {
    "test_said[primary:api]": "it is primary; assert 'primary' == 'backup'; - backup; + primary",
    "test_silent": "assert not [1, 2]",
    "test_error[session-env]": "failed",
    "test_error[file-history]": "failed",
    "test_error[projects]": "failed",
    "test_failed": f"{'a' * 499}…",
}


def test_child_leaves_a_line_for_each_file(vm: Vm) -> None:
    names = given(vm)
    with ExitStack() as opened:
        files = [opened.enter_context(open(names[place], "r+b")) for place in (0, 2, 1)]
        numbers = tuple(file.fileno() for file in files)
        child = [str(CHECKOUT / "launcher" / "own_child.py"), str(CHECKOUT)]
        assert 0 == run(vm, *child, *map(str, numbers), descriptors=numbers)
    (line,) = names[2].read_text().splitlines()
    result = json.loads(line)
    assert (str(vm.root / "own" / "test_mine.py"), 1) == (result["path"], result["status"])
    found = outcomes(json.loads(result["document"]), vm.root / "own")
    assert EXPECTED.keys() == found.keys()
    assert names[1].read_text().startswith(f"{vm.root}/own/test_mine.py::test_failed\n")


def test_document_of_a_file_names_its_path_and_is_bounded(vm: Vm) -> None:
    names = given(vm)
    assert 1 == run(vm, "-c", RUN_FILE, *map(str, names))
    document = json.loads(names[2].read_text())
    found = outcomes(document, vm.root / "own")
    assert {name: text[:30] for name, text in EXPECTED.items()} == {
        name: text[:30] for name, text in found.items()
    }
    long = document["tests"][-1]["call"]
    assert (2000, 2000) == (len(long["crash"]["message"]), len(long["longrepr"]))
