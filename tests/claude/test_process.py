"""How a running CLI can be seen, and what becomes of it and of its children when it is ended."""

from __future__ import annotations

import json
import os
import signal
import threading
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

from tests.claude.cli import Cli, turns_of
from tests.claude.stub import Reply, Text, ToolUse
from tests.sessions.keeper import environment_of
from tests.vm import wait_until

FOREVER = "tail -f /dev/null"


@pytest.fixture
def session() -> str:
    """Return the id of a conversation that does not exist yet."""
    return str(uuid4())


def has_records(claude: Cli) -> bool:
    """Tell whether the version notes its processes in ``sessions/``: 2.0 does not."""
    return not claude.version.startswith("2.0.")


def test_running_session_can_be_seen_from_outside(claude: Cli, session: str) -> None:
    hold = threading.Event()
    claude.stub.script(Reply([Text("a slow answer")], hold))
    terminal = claude.open("primary", "hello", "--session-id", session)
    claude.stub.wait_for(lambda seen: seen.is_turn)
    assert "claude\n" == Path(f"/proc/{terminal.pid}/comm").read_text()
    environ = environment_of(terminal.pid)
    assert str(claude.vm.home("primary")) == environ["CLAUDE_CONFIG_DIR"]
    assert claude.environ("primary").keys() <= environ.keys()
    if has_records(claude):
        wait_until(lambda: status(claude) == "busy", "it is busy")
        (path,) = claude.records("primary")
        seen = json.loads(path.read_text())
        assert f"{terminal.pid}.json" == path.name
        assert (terminal.pid, session) == (seen["pid"], seen["sessionId"])
        assert (str(claude.directory), start_of(terminal.pid)) == (seen["cwd"], seen["procStart"])

    hold.set()
    terminal.wait_for("a slow answer")
    wait_until(lambda: terminal.is_ready, "the prompt is there")
    if has_records(claude):
        wait_until(lambda: status(claude) == "idle", "it is idle")

    os.kill(terminal.pid, signal.SIGTERM)
    wait_until(lambda: terminal.ending is not None, "it ends")
    assert 143 == terminal.ending
    assert [] == claude.records("primary")


@pytest.mark.parametrize(
    ("number", "codes"),
    [
        (signal.SIGTERM, {143}),
        (signal.SIGINT, {0}),
        (signal.SIGHUP, {129, -signal.SIGHUP}),  # 2.0 does not catch it
        (signal.SIGKILL, {-signal.SIGKILL}),
    ],
    ids=["TERM", "INT", "HUP", "KILL"],
)
def test_end_in_the_middle_of_an_answer_keeps_what_was_before(
    claude: Cli, session: str, number: signal.Signals, codes: set[int]
) -> None:
    claude.run("primary", "the first prompt", "--session-id", session)
    (transcript,) = claude.transcripts(session)
    before = turns_of(transcript)
    claude.stub.script(Reply([Text("first half, second half")], threading.Event()))
    process = claude.start("primary", "the second prompt", "--resume", session)
    claude.stub.wait_for(lambda seen: seen.is_turn and "the second prompt" in seen.text)
    if number is signal.SIGKILL and has_records(claude):
        assert [f"{process.pid}.json"] == [path.name for path in claude.records("primary")]
    process.send_signal(number)
    process.communicate(timeout=20)

    assert process.returncode in codes
    turns = turns_of(transcript)
    assert before == turns[: len(before)]
    assert "first half" not in transcript.read_text()
    left = number is signal.SIGKILL and has_records(claude)
    assert left == bool(claude.records("primary"))
    resumed = claude.run("backup", "the third prompt", "--resume", session)
    assert 0 == resumed.returncode
    for words in ("the first prompt", "the third prompt"):
        assert words in claude.stub.turns[-1].text


@pytest.mark.parametrize("where", ["foreground", "background"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["TERM", "KILL"])
def test_command_of_the_bash_tool_has_a_session_of_its_own_and_may_survive(
    claude: Cli, session: str, number: signal.Signals, where: str
) -> None:
    behind = where == "background"
    command = {"command": FOREVER, "description": "wait", "run_in_background": behind}
    claude.stub.script(ToolUse("Bash", command), Reply([Text("it runs")], threading.Event()))
    process = claude.start("primary", "wait", "--session-id", session)
    if behind:
        claude.stub.wait_for(lambda seen: bool(seen.tool_results))
    wait_until(lambda: commands(claude), "the command runs")
    (child,) = commands(claude)
    assert os.getsid(child) not in (os.getsid(process.pid), process.pid)
    assert str(claude.vm.home("primary")) == environment_of(child)["CLAUDE_CONFIG_DIR"]

    process.send_signal(number)
    process.communicate(timeout=20)

    assert survives(claude.version, number, where) == bool(commands(claude))


def survives(version: str, number: signal.Signals, where: str) -> bool:
    """Tell what was measured: only a polite end, of a newer CLI, ends its commands."""
    if number is signal.SIGKILL or version.startswith("2.0."):
        return True
    return version == "2.1.197" and where == "foreground"


def commands(claude: Cli) -> list[int]:
    """Return the pids of the command that the Bash tool runs for these tests."""
    found = []
    for pid in claude.vm.processes():
        words = Path(f"/proc/{pid}/cmdline")
        if words.exists() and words.read_bytes() == FOREVER.replace(" ", "\0").encode() + b"\0":
            found.append(pid)
    return found


def status(claude: Cli) -> object:
    """Return what the one record of ``primary`` says, or None while there is none to read."""
    for path in claude.records("primary"):
        with suppress(ValueError):  # it is being written
            return json.loads(path.read_text()).get("status")
    return None


def start_of(pid: int) -> str:
    """Return when a process started, in clock ticks since boot, as proc(5) has it."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
