"""A gate under attack: one VM with a broken link, and a way to make pytest say that all is well."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.vm import CHECKOUT, Vm, wait_until

NAIVE = """
import sys, pytest
sys.exit(pytest.main([
    sys.argv[1], "--inventory", sys.argv[2], "-q", "-p", "no:cacheprovider",
    "--json-report", "--json-report-file", sys.argv[3],
]))
"""
HANGS_SECONDS = 12.0
"""After how long what is expected to hang does, for the tests."""


class Attack:
    """What surrounds one run of the launcher, and of the naive gate beside it."""

    def __init__(self, vm: Vm) -> None:
        self.vm = vm
        self.environ = dict(vm.environ)
        self.code = CHECKOUT
        self.cwd = vm.root
        self.prefix: list[str] = []
        self.popen: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.during: Callable[[subprocess.Popen[bytes]], object] | None = None
        self.output = b""
        self.started = vm.root / "something-was-started"
        self.report_path = vm.report_path
        self.write()
        self.publish_an_old_green()
        vm.diverge()

    def write(self, **launcher: object) -> None:
        """Write an inventory whose one session leaves a mark as soon as it runs."""
        command = ["/bin/sh", "-c", f"touch {self.started}; exec sleep 600"]
        self.vm.write({"api": command}, **launcher)  # type: ignore[arg-type]  # keys of [launcher]

    def publish_an_old_green(self) -> None:
        """Leave the report of an earlier boot, from when all was well."""
        key = {"schema": 1, "verdict": "green", "inventory": str(self.vm.inventory)}
        key |= {"boot_id": "earlier", "started": 1.0, "finished": 2.0, "failures": []}
        self.report_path.parent.mkdir(parents=True, exist_ok=True)
        self.report_path.write_text(json.dumps({"failover": key}))

    def evil(self, name: str, text: str) -> Path:
        """Put a module where ``PYTHONPATH`` finds it first; return its directory."""
        directory = self.vm.root / "evil"
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        self.environ["PYTHONPATH"] = str(directory)
        return directory

    def deploy(self, changes: Mapping[str, str | Callable[[str], str] | None]) -> None:
        """Run from a copy of the program with some files written, changed or removed (None)."""
        self.code = self.cwd = self.vm.deploy()
        for name, change in changes.items():
            file = self.code / name
            if change is None:
                file.unlink()
            elif isinstance(change, str):
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(change)
            else:
                before = file.read_text()
                file.write_text(change(before))
                assert before != file.read_text(), f"the change of {name} changes nothing"

    def launcher(self, verb: str) -> int:
        """Run a verb to its end, and return its exit code; what it prints is in ``output``.

        The command of ``run`` leaves the mark that a session does.
        """
        words = ["run", "primary", "--", "touch", str(self.started)] if verb == "run" else [verb]
        command = [sys.executable, "-m", "launcher", "--inventory", str(self.vm.inventory), *words]
        return self._run(command, 60.0)

    def naive_gate(self, seconds: float = 60.0) -> str:
        """Say what ``pytest.main() == 0`` makes of the same VM: green, red, none or hangs.

        It hangs where it has not ended after so many *seconds*.
        """
        report = str(self.vm.root / "naive.json")
        arguments = [str(self.code / "invariants"), str(self.vm.inventory), report]
        try:
            code = self._run([sys.executable, "-c", NAIVE, *arguments], seconds)
        except subprocess.TimeoutExpired:
            return "hangs"
        return {0: "green", 1: "red"}.get(code, "none")

    def _run(self, command: Sequence[str], seconds: float) -> int:
        process = subprocess.Popen(
            [*self.prefix, *command], env=self.environ, cwd=self.cwd, **self.popen
        )
        try:
            if self.during is not None:
                self.during(process)
            self.output = b"".join(one or b"" for one in process.communicate(timeout=seconds))
        finally:
            process.kill()
            process.communicate()
        return process.returncode

    def report_says_green(self) -> bool:
        """Tell whether a monitor that reads the report would see green."""
        if not self.report_path.is_file():
            return False
        try:
            document = json.loads(self.report_path.read_text())
        except (OSError, ValueError):
            return False
        return bool(document.get("failover", {}).get("verdict") == "green")


def gate_child(parent: int) -> int | None:
    """Return the pid of the process that runs pytest for *parent*: itself, or a child of it."""
    for task in Path(f"/proc/{parent}/task").iterdir():
        children = (task / "children").read_text().split()
        if children:
            return int(children[0])
    return None


def once_the_checks_run(attack: Attack, act: Callable[[int, int], object]) -> None:
    """Let one check wait for a file, and *act* on launcher and child while it does.

    The naive gate has no child: there both are the one process.
    """
    reached, go = attack.vm.root / "reached", attack.vm.root / "go"
    attack.deploy(
        {
            "invariants/test_homes.py": lambda text: text.replace(
                "    fault = ",
                "    import os, time\n"
                f"    open({str(reached)!r}, 'w').close()\n"
                f"    while not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
                "    fault = ",
            )
        }
    )

    def during(process: subprocess.Popen[bytes]) -> None:
        wait_until(reached.exists, "a check is under way")
        act(process.pid, gate_child(process.pid) or process.pid)
        reached.unlink()
        go.touch()
        process.wait(30)
        go.unlink()

    attack.during = during


def kill(number: signal.Signals, *, child: bool) -> Callable[[Attack], None]:
    """Return an attack by a signal to the launcher, or to the child that runs the checks."""

    def attack_by_signal(attack: Attack) -> None:
        once_the_checks_run(attack, lambda parent, pid: os.kill(pid if child else parent, number))

    return attack_by_signal


def limits(*options: str) -> Callable[[Attack], None]:
    """Return an attack by a resource limit (prlimit(1))."""

    def attack_by_limit(attack: Attack) -> None:
        attack.prefix = ["prlimit", *options]
        for name in [name for name in attack.environ if name.startswith("COVERAGE_")]:
            del attack.environ[name]  # what measures the launcher needs memory and files too

    return attack_by_limit
