"""A session's limits, as the inventory may write them and as systemd takes them."""

from __future__ import annotations

import shutil
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from invariants.limits import LIMITS
from invariants.schema import decode
from tests.documents import PATH, WHOLE, problems

GOOD: dict[str, list[Any]] = {
    "MemoryHigh": ["1G", "1.5G", "50%", "infinity", 1048576, "7"],
    "MemoryMax": ["2G", "100%", "infinity", 2**31],
    "MemorySwapMax": ["0", 0, "1M", "infinity"],
    "CPUWeight": [1, 100, 10000, "100", "idle"],
    "CPUQuota": ["50%", "150%", "12.5%"],
    "TasksMax": [1, "512", "10%", "infinity"],
}
BAD: dict[str, list[Any]] = {
    "MemoryHigh": ["0", 0, "-1", "1Q", "101%", "G", "", "1 G", "1G\n", True, 1.5, [], "0%"],
    "MemoryMax": ["0", "two", "1e3", {}, "0.0G"],
    "CPUWeight": [0, 10001, -1, "fast", "100%", 2**70],
    "CPUQuota": [50, "0%", "50", "-5%"],
    "TasksMax": [0, -1, "many", "1K", "0%"],
}


def document(limits: object, backend: str = "systemd") -> dict[str, Any]:
    whole = deepcopy(WHOLE)
    whole["launcher"]["backend"] = backend
    whole["sessions"][0]["limits"] = limits
    return whole


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name in LIMITS for value in GOOD[name]]
)
def test_limit_is_taken_as_it_is_written(name: str, value: Any) -> None:
    inventory, wrong = decode(document({name: value}), PATH)
    assert [] == wrong
    assert ((name, str(value)),) == inventory.sessions[0].limits


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in BAD for value in BAD[name]])
def test_limit_that_means_nothing_is_refused(name: str, value: Any) -> None:
    (wrong,) = problems(document({name: value}))
    assert wrong.startswith(f"sessions[0].limits.{name}: must be ")
    assert wrong.isprintable()


def test_all_that_is_wrong_with_limits_is_in_the_one_answer() -> None:
    wrong = problems(document({"MemoryMx": "2G", "CPUWeight": 0, "TasksMax": "few"}, "tmux"))
    assert {
        "sessions[0].limits": 'takes launcher.backend = "systemd": nothing else enforces it',
        "sessions[0].limits.CPUWeight": "must be a number from 1 to 10000, or 'idle', not 0",
        "sessions[0].limits.TasksMax": "must be a number, a share or 'infinity', not 'few'",
        "sessions[0].limits.MemoryMx": "unknown key; did you mean MemoryMax?",
    } == dict(problem.split(": ", 1) for problem in wrong)


@pytest.mark.parametrize("backend", ["auto", "process", None])
def test_policy_that_nobody_would_keep_is_refused(backend: str | None) -> None:
    whole = document({})
    whole["sessions"][0] = {**WHOLE["sessions"][0], "restart": "on-failure"}
    whole["launcher"]["backend"] = backend
    if backend is None:
        del whole["launcher"]["backend"]
    refusal = 'takes launcher.backend = "tmux" or "systemd": they see it die'
    assert [f"sessions[0].restart: {refusal}"] == problems(whole)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_every_limit_that_is_taken_is_one_of_systemd_s(tmp_path: Path) -> None:
    lines = [f"{name}={value}" for name, values in GOOD.items() for value in values]
    unit = tmp_path / "limits.service"
    unit.write_text("\n".join(["[Service]", "ExecStart=/bin/true", *lines, ""]))
    verify = ["systemd-analyze", "--user", "verify", "--recursive-errors=yes", str(unit)]
    environ = {"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(verify, capture_output=True, text=True, check=False, env=environ)
    assert "" == done.stderr
