"""One process for each conversation: real ones, called claude, and what they leave in homes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from invariants.conversations import clients, running
from invariants.model import Account
from invariants.single_writer import judge_writers
from tests.vm import wait_until

ID = str(uuid4())
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def accounts(tmp_path: Path) -> list[Account]:
    """Return two accounts whose transcripts are shared, and one whose are its own."""
    (tmp_path / "shared").mkdir()
    made = [Account(name, str(tmp_path / name)) for name in ("primary", "backup", "apart")]
    for account in made:
        Path(account.home).mkdir()
        if account.name != "apart":
            (Path(account.home) / "projects").symlink_to(tmp_path / "shared")
    return made[:2]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return what starts a program called claude in a home, and ends all that it started."""
    program = tmp_path / "bin" / "claude"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nread line\n")
    program.chmod(0o755)
    started = []

    def run(home: str | None, *words: str, under: str = "") -> subprocess.Popen[bytes]:
        environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        if home is not None:
            environ["CLAUDE_CONFIG_DIR"] = home
        if under:
            under_it = tmp_path / under / "claude"
            under_it.parent.mkdir(exist_ok=True)
            under_it.write_text(f'#!/bin/sh\n{program} "$@"\n')
            under_it.chmod(0o755)
        command = [str(under_it if under else program), *words]
        process = subprocess.Popen(command, env=environ, stdin=subprocess.PIPE)
        started.append(process)
        # Its name is there a moment before its command line is.
        line = Path(f"/proc/{process.pid}/cmdline")
        wait_until(lambda: running()[process.pid].name == "claude" and line.read_bytes(), "it runs")
        return process

    yield run
    for process in started:
        process.communicate(b"\n", timeout=20)


def note(account: Account, process: subprocess.Popen[bytes], **changes: object) -> Path:
    """Write the record that Claude Code leaves while it runs."""
    folder = Path(account.home) / "sessions"
    folder.mkdir(exist_ok=True)
    start = running()[process.pid].start
    record = {"pid": process.pid, "procStart": start, "sessionId": ID, "status": "idle", **changes}
    path = folder / f"{process.pid}.json"
    path.write_text(json.dumps(record))
    return path


def found(accounts: list[Account]) -> str | None:
    finding = judge_writers(accounts)
    return None if finding is None else f"{finding.state}: {finding.found}"


def test_nothing_and_one_process_are_right(accounts: list[Account], start: Start) -> None:
    assert judge_writers(accounts) is None
    process = start(accounts[0].home, "--resume", ID)
    note(accounts[0], process)

    assert judge_writers(accounts) is None


@pytest.mark.parametrize(
    "words", [("--resume", ID), (f"--resume={ID}",), ("-r", ID.upper()), ("--session-id", ID)]
)
def test_two_processes_are_told_with_their_accounts(
    accounts: list[Account], start: Start, words: tuple[str, ...]
) -> None:
    first, second = start(accounts[0].home, "--session-id", ID), start(accounts[1].home, *words)
    finding = judge_writers(accounts)
    pids = sorted((process.pid, name) for process, name in ((first, "primary"), (second, "backup")))

    assert finding is not None
    places = " and ".join(f"pid {pid} ({name})" for pid, name in pids)
    assert ("two-writers", f"{ID} in {places}") == (finding.state, finding.found)
    assert f"ps -fp {pids[0][0]},{pids[1][0]}  # look: end all of a conversation but one" == (
        finding.fix
    )


def test_records_count_more_than_command_lines(accounts: list[Account], start: Start) -> None:
    first, second = start(accounts[0].home), start(accounts[1].home, "--resume", ID)
    record = note(accounts[0], first)
    assert (found(accounts) or "").startswith("two-writers: ")

    note(accounts[1], second, sessionId=str(uuid4()))  # it has gone on to another one
    assert found(accounts) is None
    record.unlink()
    assert found(accounts) is None


@pytest.mark.parametrize("content", ["{", "[]", '{"procStart": "1", "sessionId": "ID"}', "{}"])
def test_record_of_another_process_or_of_nothing_is_none(
    accounts: list[Account], start: Start, content: str
) -> None:
    first = start(accounts[0].home)
    start(accounts[1].home, "--resume", ID)
    note(accounts[0], first).write_text(content.replace("ID", ID))

    assert found(accounts) is None


def test_record_whose_process_has_ended_is_none(accounts: list[Account], start: Start) -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
        folder = Path(accounts[0].home) / "sessions"
        folder.mkdir()
        (folder / f"{ended.pid}.json").write_text(json.dumps({"sessionId": ID}))
        (folder / "notes.json").write_text(json.dumps({"sessionId": ID}))
    start(accounts[1].home, "--resume", ID)

    assert found(accounts) is None


@pytest.mark.parametrize(
    "words", [("--resume", ID, "--fork-session"), ("--resume",), ("--resume", "my-session"), ()]
)
def test_process_at_no_known_conversation_is_none(
    accounts: list[Account], start: Start, words: tuple[str, ...]
) -> None:
    start(accounts[0].home, "--resume", ID)
    start(accounts[1].home, *words)

    assert found(accounts) is None


def test_fork_is_at_the_conversation_that_it_was_given(
    accounts: list[Account], start: Start
) -> None:
    start(accounts[0].home, "--resume", ID)
    start(accounts[1].home, "--resume", str(uuid4()), "--fork-session", "--session-id", ID)

    assert (found(accounts) or "").startswith("two-writers: ")


def test_home_with_transcripts_of_its_own_is_no_business(
    accounts: list[Account], start: Start, tmp_path: Path
) -> None:
    start(accounts[0].home, "--resume", ID)
    start(str(tmp_path / "apart"), "--resume", ID)
    start(None, "--resume", ID)  # ~/.claude, which is not there

    assert found(accounts) is None


def test_home_that_shares_the_transcripts_counts_though_nobody_named_it(
    accounts: list[Account], start: Start, tmp_path: Path
) -> None:
    (tmp_path / ".claude").mkdir()
    (tmp_path / ".claude" / "projects").symlink_to(tmp_path / "shared")
    start(accounts[0].home, "--resume", ID)
    start(None, "--resume", ID)

    assert f"({tmp_path}/.claude)" in (found(accounts) or "")


def test_script_that_starts_claude_is_no_second_writer(
    accounts: list[Account], start: Start
) -> None:
    wrapper = start(accounts[0].home, "--resume", ID, under="wrapper")
    wait_until(
        lambda: wrapper.pid in [one.parent for one in running().values()], "it starts another"
    )

    assert found(accounts) is None


@pytest.mark.parametrize("noted", [True, False])
def test_copy_of_a_writer_that_has_executed_nothing_yet_is_no_other(
    accounts: list[Account], start: Start, tmp_path: Path, noted: bool
) -> None:
    """Between fork and exec a tool that Claude starts has the command line of its parent."""
    script = "#!/bin/sh\nexec 3<&0\n(read line <&3; :) &\nread line\n"
    (tmp_path / "bin" / "claude").write_text(script)
    writer = start(accounts[0].home, "--resume", ID)
    wait_until(lambda: writer.pid in [one.parent for one in running().values()], "it has forked")
    if noted:
        note(accounts[0], writer)
    assert found(accounts) is None


def test_program_of_another_name_that_holds_the_words_is_none(accounts: list[Account]) -> None:
    environ = {"CLAUDE_CONFIG_DIR": accounts[0].home}
    command = [sys.executable, "-c", "input()", "claude", "--resume", ID]
    processes = [subprocess.Popen(command, env=environ, stdin=subprocess.PIPE) for _ in range(2)]
    try:
        assert found(accounts) is None
    finally:
        for process in processes:
            process.communicate(b"\n", timeout=20)


def test_records_that_cannot_be_read_are_told_apart(accounts: list[Account]) -> None:
    folder = Path(accounts[1].home) / "sessions"
    folder.symlink_to(folder)

    assert f"unreadable: {folder} is unreadable: Too many levels of symbolic links" == (
        found(accounts)
    )


def test_process_table_without_what_has_gone_meanwhile(tmp_path: Path) -> None:
    (tmp_path / "17").mkdir()
    (tmp_path / "18").mkdir()
    (tmp_path / "18" / "stat").write_text("18 (x)")

    assert {} == running(str(tmp_path))


def test_client_that_executes_another_one_is_another(tmp_path: Path, start: Start) -> None:
    """Its name, its pid and its start are the same: only its memory tells."""
    shell = tmp_path / "bin" / "claude"
    shell.write_text('#!/bin/sh\nread line\ntest -n "$1" || exec "$0" --resume it\n')
    process = start(None)
    (before,) = (one for one in clients() if one.pid == process.pid)
    assert before in clients()
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.flush()
    wait_until(lambda: process.pid in [one.pid for one in clients() - {before}], "exec")
    assert before not in clients()


def test_copy_of_a_client_and_one_that_has_ended_are_none(tmp_path: Path, start: Start) -> None:
    (tmp_path / "bin" / "claude").write_text("#!/bin/sh\nexec 3<&0\n(read line <&3) &\nread line\n")
    process = start(None)
    children: list[int] = []

    def has_forked() -> bool:
        children[:] = [pid for pid, one in running().items() if one.parent == process.pid]
        return bool(children)

    wait_until(has_forked, "it has forked")
    assert [process.pid] == [one.pid for one in clients() if one.pid in (process.pid, *children)]
    process.kill()
    wait_until(lambda: process.pid not in running(), "it is a zombie")
    assert process.pid not in [one.pid for one in clients()]


def test_proc_that_does_not_show_this_process_is_no_proof(
    accounts: list[Account], tmp_path: Path
) -> None:
    """It is not mounted, or counts the pids of another namespace: every writer would be missed."""
    empty = tmp_path / "proc"
    empty.mkdir()
    finding = judge_writers(accounts, str(empty))
    assert finding is not None
    assert ("unreadable", f"mount -t proc proc {empty}") == (finding.state, finding.fix)
