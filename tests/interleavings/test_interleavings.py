"""A fixed sample of the random rounds, which ``make interleavings`` plays in great number."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.interleavings import writer
from tests.interleavings.judge import played
from tests.interleavings.plan import ACCOUNTS, TROUBLES, VERBS, Plan, drawn
from tests.interleavings.storm import Done, Storm
from tests.vm import wait_until


@pytest.mark.parametrize("seed", range(24))
@pytest.mark.thorough
def test_launchers_at_the_same_time_lose_neither_turn_nor_session(
    tmp_path: Path, seed: int
) -> None:
    result = played(drawn(seed), tmp_path)
    assert [] == result.faults, str(result)


def test_seed_decides_the_plan_and_seeds_cover_everything() -> None:
    plans = [drawn(seed) for seed in range(200)]
    assert plans == [drawn(seed) for seed in range(200)]
    calls = [call for plan in plans for call in plan.calls]
    assert set(VERBS) == {call.verb for call in calls}
    assert {2, 3, 4} == {len(plan.calls) for plan in plans}
    assert {None, signal.SIGKILL, signal.SIGTERM} == {
        call.signal for call in calls if call.verb == "switch"
    }
    assert set(TROUBLES) == {trouble.kind for plan in plans for trouble in plan.troubles}
    assert set(ACCOUNTS) == {call.account for call in calls}
    assert not any("run" in str(drawn(seed, without=["run"]).calls) for seed in range(20))


@pytest.mark.thorough
def test_judge_notices_what_a_launcher_must_never_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The harness would be green for ever if it could not see these."""
    plan = Plan(0, "process", ("api", "web", "tool"), running=True, calls=(), troubles=())
    monkeypatch.setattr(Storm, "carry_out", _sabotage)
    faults = played(plan, tmp_path).faults
    assert 1 == len([fault for fault in faults if fault.startswith("lost: api ran before")])
    assert 1 == len([fault for fault in faults if fault.startswith("two writers: TWO: --resume")])
    assert [fault for fault in faults if fault.startswith("turn lost: turn ")]
    assert {"lost", "two writers", "turn lost"} == {fault.partition(":")[0] for fault in faults}


def _sabotage(storm: Storm) -> list[Done]:
    """End a session, start a second writer, and remove the transcripts."""
    vm, conversations = storm.vm, storm.conversations
    wait_until(lambda: len(writer.live(vm)) == 3, "the sessions run")
    ((pid, _),) = writer.live(vm)[conversations["api"]]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: conversations["api"] not in writer.live(vm), "it is dead")
    environ = {**vm.environ, "CLAUDE_CONFIG_DIR": str(vm.home("backup"))}
    command = [str(vm.root / "claude"), "--resume", conversations["web"]]
    with subprocess.Popen(command, env=environ, cwd=vm.root) as second:
        wait_until(lambda: writer.second_writers(vm), "the second writer sees the first")
        second.kill()
    for conversation in conversations.values():
        for transcript in vm.target("projects").glob(f"*/{conversation}.jsonl"):
            transcript.unlink()
    return []
