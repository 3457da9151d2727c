"""The gate's child, run as a program of its own: what it takes and what it leaves."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import pytest

from invariants.inventory import load
from tests.vm import CHECKOUT, Vm


@pytest.fixture
def files(tmp_path: Path) -> Iterator[list[IO[bytes]]]:
    """Open the three files that the gate shares with its child."""
    names = ("inventory", "document", "check")
    with ExitStack() as opened:
        yield [opened.enter_context(open(tmp_path / name, "w+b")) for name in names]


def run_child(vm: Vm, files: list[IO[bytes]]) -> tuple[int, dict[str, Any], str]:
    """Run the child on the VM; return its exit code, its document and the last check's name."""
    given, document, current = files
    given.write(pickle.dumps(load(str(vm.inventory))))
    given.flush()
    given.seek(0)
    numbers = [file.fileno() for file in files]
    child = [sys.executable, str(CHECKOUT / "launcher" / "child.py"), str(CHECKOUT)]
    process = subprocess.run(
        [*child, *map(str, numbers)],
        env={**os.environ, **vm.environ},
        pass_fds=numbers,
        check=False,
        input=b"30\n",
        stdout=subprocess.DEVNULL,
    )
    document.seek(0)
    current.seek(0)
    return process.returncode, json.load(document), current.readline().decode().strip()


def test_child_leaves_the_document_and_the_last_check(vm: Vm, files: list[IO[bytes]]) -> None:
    code, document, current = run_child(vm, files)
    assert (0, 0) == (code, document["exitcode"])
    assert {"passed": 21, "total": 21, "collected": 21} == document["summary"]
    assert "invariants/test_targets.py::test_target_is_usable[projects]" == current
    assert [] == document["collectors"]


def test_findings_stand_in_the_document_as_fields(vm: Vm, files: list[IO[bytes]]) -> None:
    vm.write({"api": ["no-such-program"]}, backend="tmux")
    vm.inventory.write_text(vm.inventory.read_text().replace("directory = ", 'directory = "x" #'))
    vm.diverge("backup", "projects")
    vm.home("primary").rename(vm.root / "gone")
    vm.target("session-env").rmdir()
    vm.target("file-history").rename(vm.root / "real")
    vm.target("file-history").symlink_to(vm.root / "real")
    vm.environ["PATH"] = str(vm.root / "nowhere")
    code, document, _ = run_child(vm, files)
    findings = [test["metadata"]["finding"] for test in document["tests"] if "metadata" in test]
    assert 1 == code
    assert [
        ("home_is_usable", "missing"),
        ("link_is_shared", "divergent"),
        ("session_directory_exists", "missing"),
        ("session_command_is_found", "missing"),
        ("session_backend_is_there", "missing"),
        ("target_is_usable", "missing"),
        ("target_is_usable", "symlink"),
    ] == [(finding["invariant"], finding["state"]) for finding in findings]


@pytest.mark.parametrize(
    ("spoil", "state"),
    [
        (lambda path: path.write_text("x"), "not-a-directory"),
        (lambda path: path.symlink_to(path), "unreadable"),
    ],
)
def test_directory_of_a_session_is_looked_at(
    vm: Vm, files: list[IO[bytes]], spoil: Any, state: str
) -> None:
    vm.write({"api": ["sleep", "1"]})
    vm.inventory.write_text(vm.inventory.read_text().replace("directory = ", 'directory = "x" #'))
    spoil(vm.root / "x")
    _, document, _ = run_child(vm, files)
    findings = [test["metadata"]["finding"] for test in document["tests"] if "metadata" in test]
    assert [("session_directory_exists", state)] == [
        (finding["invariant"], finding["state"]) for finding in findings
    ]
