"""Background sessions: seen by whoever looks for writers, followed, and ended by the client."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from invariants.background import workers
from invariants.command_line import named_in
from invariants.conversations import running
from invariants.conversations import writers as writers_of_homes
from invariants.documents import Unreadable
from invariants.single_writer import judge_writers
from launcher import background
from launcher.background import how_to_end
from launcher.conversations import current_id, follow, look_up
from launcher.errors import Unavailable
from launcher.interrupts import Interrupts
from launcher.notes import writers
from launcher.processes import identify
from launcher.sessions.survey import Survey
from launcher.stop import down
from tests.switching import Switching, use_quick_gate
from tests.vm import Vm, wait_until

JOB, ID = "0ddd5ad3", "0ddd5ad3-ef3e-4345-8f72-379388e6d12c"


class Daemon:
    """A stand-in for a home's daemon with one worker: real processes, and its roster."""

    def __init__(self, vm: Vm, account: str = "primary") -> None:
        self.home = vm.home(account)
        self._program = vm.root / "bin" / "claude.exe"
        self._program.parent.mkdir(exist_ok=True)
        shutil.copy(shutil.which("sleep") or "", self._program)
        self._environ = {**vm.environ, "CLAUDE_CONFIG_DIR": str(self.home)}
        self.worker = self._start("600")
        # What brings a killed worker back, if it runs: its command line says daemon.
        self.supervisor = subprocess.Popen(
            ["sh", "-c", "read line", "daemon"], stdin=subprocess.PIPE, env=self._environ
        )
        self.workers: dict[str, Any] = {}
        (self.home / "daemon").mkdir(exist_ok=True)

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([str(self._program), *words], env=self._environ)

    def take(self, conversation: str, *, stops: bool = True) -> None:
        """Let the worker write *conversation*; with *stops* the client's command ends it."""
        process = identify(self.worker.pid)
        assert process is not None
        entry = {
            "sessionId": conversation.upper(),
            "pid": 1,
            "procStart": "1",
            "replPid": process.pid,
            "replProcStart": str(process.start),
        }
        self.write({JOB: entry})
        stop = f"kill {process.pid}; echo {{}} > {self.home}/daemon/roster.json"
        (self.home / "daemon" / "stop").write_text(stop if stops else "exit 1")

    def write(self, entries: object) -> None:
        """Write the roster."""
        roster = {"proto": 1, "supervisorPid": self.supervisor.pid, "workers": entries}
        (self.home / "daemon" / "roster.json").write_text(json.dumps(roster))

    def hand_over(self, api: Switching, fork: str) -> None:
        """Let the session's process note that it handed its conversation over."""
        (kept,) = api.runs
        note = self.home / "sessions" / f"{kept.process.pid}.json"
        note.write_text(json.dumps({**json.loads(note.read_text()), "parkedJobId": JOB}))
        state = self.home / "jobs" / JOB / "state.json"
        state.parent.mkdir(parents=True, exist_ok=True)
        state.write_text(json.dumps({"sessionId": fork}))

    def close(self) -> None:
        """End all of it."""
        for process in (self.worker, self.supervisor):
            process.kill()
            process.communicate()


@pytest.fixture
def api(vm: Vm, monkeypatch: pytest.MonkeyPatch) -> Switching:
    """Return a VM whose session runs the stand-in for Claude Code."""
    use_quick_gate(monkeypatch)
    monkeypatch.setattr("launcher.background._PATIENCE", 1.0)
    api = Switching(vm)
    api.up()
    return api


@pytest.fixture
def daemon(api: Switching) -> Iterator[Daemon]:
    """Return a daemon of the session's home, older than the session: nothing of it is marked."""
    made = Daemon(api.vm)
    yield made
    made.close()


def turn(api: Switching, conversation: str) -> None:
    """Let something have been said in a conversation."""
    (path,) = api.vm.target("projects").glob("*/*.jsonl")
    (path.parent / f"{conversation}.jsonl").write_text(path.read_text())


def background_warnings(api: Switching) -> list[tuple[str, str]]:
    survey = Survey(api.inventory, api.vm.environ)
    with Interrupts() as interrupts:
        background.look(api.inventory, survey, interrupts)
    every = survey.warnings()
    name = "conversation_is_in_the_session"
    return [(one.found, one.fix) for one in every if one.invariant == name]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["claude.exe", "--resume", f"/home/a/projects/-src/{ID}.jsonl"], ID),
        (["claude.exe", f"--resume=/p/{ID}.jsonl"], ID),
        (
            ["claude.exe", "--session-id", ID, "--fork-session", "--resume", f"/p/{uuid4()}.jsonl"],
            ID,
        ),
        (["claude.exe", "--fork-session", "--resume", f"/p/{ID}.jsonl"], None),
        (["claude.exe", "--resume", f"/p/{ID}.json"], None),
    ],
)
def test_transcript_in_a_command_line_names_its_conversation(
    words: list[str], found: str | None
) -> None:
    assert found == named_in(words)


def test_worker_is_a_writer_by_the_roster_alone(api: Switching, daemon: Daemon) -> None:
    daemon.take(ID)
    homes = [account.home for account in api.inventory.accounts]
    process = identify(daemon.worker.pid)
    assert [process] == writers(ID, homes)
    assert f"CLAUDE_CONFIG_DIR={daemon.home} claude stop {JOB}" == how_to_end(
        [process] if process else [], homes
    )
    assert "kill 1" == how_to_end([p for p in [identify(1)] if p], homes)
    entry = next(iter(workers(str(daemon.home))))
    daemon.write({JOB: {"sessionId": ID, "pid": entry.pid, "procStart": "1"}})
    assert [] == writers(ID, homes)


@pytest.mark.parametrize(
    "entries", [7, {"a": 7}, {"a": {"sessionId": 7}}, {"a": {"sessionId": ID}}]
)
def test_roster_of_another_shape_names_nobody(daemon: Daemon, entries: object) -> None:
    daemon.write(entries)
    assert [] == list(workers(str(daemon.home)))


def test_roster_that_is_torn_is_told(api: Switching, daemon: Daemon) -> None:
    (daemon.home / "daemon" / "roster.json").write_text("{")
    with pytest.raises(Unreadable):
        list(workers(str(daemon.home)))
    with pytest.raises(Unavailable):
        writers(ID, [str(daemon.home)])
    with Interrupts() as interrupts:
        (status,) = down(api.inventory, ["api"], api.vm.environ, interrupts)
    assert ("failed", True) == (status.state, "is not known" in str(status.detail))


def test_two_writers_of_which_one_is_in_the_background_are_told_with_its_end(
    api: Switching, daemon: Daemon
) -> None:
    accounts = api.inventory.accounts
    daemon.take(str(uuid4()))
    assert judge_writers(accounts) is None
    daemon.take(api.conversation)
    finding = judge_writers(accounts)
    assert finding is not None
    assert f"background session {JOB}" in finding.found
    command, _, note = finding.fix.partition("  # ")
    assert f"CLAUDE_CONFIG_DIR={daemon.home} claude stop {JOB}" == command
    assert "but one" in note


def test_worker_and_the_process_of_its_terminal_are_one_writer(
    api: Switching, daemon: Daemon
) -> None:
    """The roster of a new one names its terminal's process, and the child has the id itself."""
    shell = api.vm.root / "sh" / "claude.exe"
    shell.parent.mkdir()
    shutil.copy(shutil.which("sh") or "", shell)
    line = f'"{shell}" -c "read line" claude.exe --session-id {ID}; true'
    terminal = subprocess.Popen([str(shell), "-c", line], stdin=subprocess.PIPE)
    try:
        wait_until(lambda: len(writers(ID, [])) == 1, "the child runs")
        (child,), host = writers(ID, []), identify(terminal.pid)
        assert host is not None
        daemon.write({JOB: {"sessionId": ID, "pid": host.pid, "procStart": str(host.start)}})
        assert judge_writers(api.inventory.accounts) is None
        homes = [str(daemon.home)]
        assert {host, child} == set(writers(ID, homes))
        assert how_to_end([host], homes) == how_to_end([host, child], homes)
        assert "kill" not in how_to_end([child], homes)
    finally:
        terminal.communicate(b"\n")


def test_note_of_a_worker_names_its_job(api: Switching, daemon: Daemon) -> None:
    process = identify(daemon.worker.pid)
    assert process is not None
    note = {"sessionId": ID, "procStart": str(process.start), "kind": "bg", "jobId": JOB}
    path = daemon.home / "sessions" / f"{process.pid}.json"
    path.write_text(json.dumps(note))
    found = [one for one in writers_of_homes(api.inventory.accounts, running()) if one.job]
    assert [(ID, JOB, process.pid)] == [
        (one.conversation, one.job, one.process.pid) for one in found
    ]


def test_conversation_that_was_handed_over_is_followed_once_something_is_said(
    api: Switching, daemon: Daemon
) -> None:
    old, session = api.conversation, api.inventory.sessions[0]
    daemon.take(ID)
    daemon.hand_over(api, ID)
    follow(api.inventory, Survey(api.inventory, api.vm.environ))
    assert old == current_id(api.inventory, session)
    turn(api, ID)
    found = look_up(api.inventory, session)
    assert (ID, True) == (found if isinstance(found, str) else (found.id, found.begun))
    follow(api.inventory, Survey(api.inventory, api.vm.environ))
    assert ID == current_id(api.inventory, session)


def test_down_ends_the_background_session_by_the_client_s_command(
    api: Switching, daemon: Daemon
) -> None:
    daemon.take(ID)
    daemon.hand_over(api, ID)
    turn(api, ID)
    ((found, fix),) = background_warnings(api)
    assert (True, True) == (ID in found, f"claude stop {JOB}" in fix)
    api.down()
    assert -signal.SIGTERM == daemon.worker.wait(10)
    assert [] == background_warnings(api)


def test_down_does_not_say_stopped_while_a_background_session_runs(
    api: Switching, daemon: Daemon
) -> None:
    daemon.take(api.conversation, stops=False)
    with Interrupts() as interrupts:
        (status,) = down(api.inventory, ["api"], api.vm.environ, interrupts)
    assert "failed" == status.state
    assert f"CLAUDE_CONFIG_DIR={daemon.home} claude stop {JOB}" in str(status.detail)
    assert daemon.worker.poll() is None


def test_down_does_not_say_stopped_where_a_client_runs_and_its_home_cannot_be_read(
    api: Switching, daemon: Daemon
) -> None:
    daemon.take(api.conversation, stops=False)
    (daemon.home / "daemon" / "roster.json").write_text("torn")
    with Interrupts() as interrupts:
        (status,) = down(api.inventory, ["api"], api.vm.environ, interrupts)
    assert "failed" == status.state
    assert "whether a background session of it runs is not known: " in str(status.detail)


def test_worker_that_was_killed_and_comes_back_is_not_called_stopped(
    api: Switching, daemon: Daemon
) -> None:
    daemon.take(api.conversation, stops=False)
    daemon.worker.kill()
    daemon.worker.wait()
    with Interrupts() as interrupts:
        (status,) = down(api.inventory, ["api"], api.vm.environ, interrupts)
    assert ("failed", True) == (status.state, "background session still runs" in str(status.detail))
    daemon.supervisor.kill()
    daemon.supervisor.wait()
    api.down()


def test_background_session_of_another_conversation_is_left_alone(
    api: Switching, daemon: Daemon
) -> None:
    daemon.take(str(uuid4()))
    assert [] == background_warnings(api)
    api.down()
    assert daemon.worker.poll() is None


def test_worker_that_is_part_of_the_session_is_its_own_unless_it_is_a_spare(
    api: Switching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon that the session started holds one in reserve: nobody has said anything to it."""
    (kept,) = api.runs
    monkeypatch.setitem(api.vm.environ, "CLAUDE_FAILOVER_SESSION", mark_of(kept.process.pid))
    daemon = Daemon(api.vm)
    try:
        daemon.take(ID)
        assert [] == background_warnings(api)
        state = daemon.home / "jobs" / JOB / "state.json"
        state.parent.mkdir(parents=True)
        state.write_text("{}")
        ((found, _),) = background_warnings(api)
        assert ID in found
    finally:
        daemon.close()


def mark_of(pid: int) -> str:
    words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    (mark,) = (word for word in words if word.startswith(b"CLAUDE_FAILOVER_SESSION="))
    return os.fsdecode(mark.partition(b"=")[2])


def test_switch_ends_the_background_session_and_goes_on_with_what_was_said_there(
    api: Switching, daemon: Daemon
) -> None:
    daemon.take(ID)
    daemon.hand_over(api, ID)
    turn(api, ID)
    assert "planned" == api.switch("backup", dry_run=True).outcome
    done = api.switch("backup")
    assert ("switched", ID) == (done.outcome, done.conversation)
    assert -signal.SIGTERM == daemon.worker.wait(10)


def test_switch_starts_nothing_while_a_background_session_runs(
    api: Switching, daemon: Daemon
) -> None:
    daemon.take(api.conversation, stops=False)
    done = api.switch("backup")
    assert ("failed", True) == (done.outcome, "claude stop" in str(done.detail))
    assert [] == api.runs


def test_up_names_the_background_session_that_has_the_conversation(
    api: Switching, daemon: Daemon
) -> None:
    conversation = api.conversation
    api.down()
    daemon.take(conversation)
    status = api.up()
    assert ("failed", True) == (status.state, f"claude stop {JOB}" in str(status.detail))
    assert daemon.worker.poll() is None


def test_job_that_is_no_name_is_not_looked_up(api: Switching, daemon: Daemon) -> None:
    (kept,) = api.runs
    note = daemon.home / "sessions" / f"{kept.process.pid}.json"
    written = json.loads(note.read_text())
    for job in ("../..", 7):
        note.write_text(json.dumps({**written, "parkedJobId": job}))
        assert api.conversation == current_id(api.inventory, api.inventory.sessions[0])
    note.write_text(json.dumps({**written, "parkedJobId": JOB}))
    (daemon.home / "jobs" / JOB).mkdir(parents=True)
    (daemon.home / "jobs" / JOB / "state.json").write_text("torn")
    assert api.conversation == current_id(api.inventory, api.inventory.sessions[0])


def environment_of(api: Switching) -> dict[str, str]:
    (kept,) = api.runs
    words = Path(f"/proc/{kept.process.pid}/environ").read_bytes().split(b"\0")
    return dict(os.fsdecode(word).partition("=")[::2] for word in words if word)


def test_agent_view_is_off_in_a_session_unless_it_is_asked_for(api: Switching) -> None:
    name = "CLAUDE_CODE_DISABLE_AGENT_VIEW"
    assert "1" == environment_of(api)[name]
    api.down()
    api.vm.environ[name] = "0"
    api.up()
    assert "0" == environment_of(api)[name]
    api.down()
    del api.vm.environ[name]
    api.write("agent_view = true")
    api.up()
    assert name not in environment_of(api)


def test_program_that_is_no_claude_gets_no_agent_view_variable(vm: Vm) -> None:
    api = Switching(vm)
    api.write(command=["sleep", "600"])
    assert 0 == vm.run("up").returncode
    assert "CLAUDE_CODE_DISABLE_AGENT_VIEW" not in environment_of(api)
