"""What every backend owes its sessions; what only one of them has stands in its own file."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial

import pytest

from launcher.sessions.environment import OF_A_CLIENT, SECRETS, WITHOUT_TRANSCRIPT
from launcher.sessions.groups import end
from tests.sessions.keeper import Keeper, environment_of
from tests.vm import Vm, wait_until

KEYS = {name: f"sk-{number}-of-the-launcher" for number, name in enumerate(SECRETS)}
ODD = [
    *("", "two words", "it's", 'say "no"', "$HOME", "$(touch x)", "`id`", "#{pane_id}", "#(date)"),
    *(
        "a;",
        ";",
        "\\;",
        "\\",
        "a\nb",
        "\n",
        "\t",
        "-t",
        "--",
        "=x:",
        "*",
        "~",
        "%1",
        "été 🙂",
        "Á\x81",
    ),
]


def test_session_runs_under_the_home_of_its_account(make_keeper: Callable[..., Keeper]) -> None:
    keeper = make_keeper({"CLAUDE_CONFIG_DIR": "/home/of/somebody/else", "COLOUR": "blue"})
    keeper.start("work", account="backup")
    kept = keeper.kept()
    environment = environment_of(kept.process.pid)
    assert str(keeper.vm.home("backup")) == environment["CLAUDE_CONFIG_DIR"]
    assert ("backup", str(keeper.vm.home("backup"))) == (kept.account, kept.home)
    assert "blue" == keeper.seen()["environ"]["COLOUR"]


def test_key_of_the_launcher_does_not_reach_a_session(make_keeper: Callable[..., Keeper]) -> None:
    keeper = make_keeper(KEYS)
    keeper.start("work")
    assert set() == set(KEYS) & set(keeper.seen()["environ"])
    assert set() == set(KEYS) & set(environment_of(keeper.kept().process.pid))


def test_named_key_reaches_only_the_session_that_names_it(
    make_keeper: Callable[..., Keeper],
) -> None:
    keeper = make_keeper(KEYS)
    keeper.start("first")
    keeper.start("named", passing=["ANTHROPIC_API_KEY"])
    keeper.start("last")
    got = {
        name: KEYS.items() & keeper.seen(name)["environ"].items()
        for name in ("first", "named", "last")
    }
    key = ("ANTHROPIC_API_KEY", KEYS["ANTHROPIC_API_KEY"])
    assert {"first": set(), "named": {key}, "last": set()} == got


def test_what_systemd_told_the_launcher_reaches_only_a_session_that_names_it(
    make_keeper: Callable[..., Keeper],
) -> None:
    told = dict.fromkeys(("NOTIFY_SOCKET", "INVOCATION_ID", "LISTEN_FDS", "MAINPID"), "/x")
    keeper = make_keeper(told)
    keeper.start("work")
    assert set() == set(told) & set(keeper.seen()["environ"])
    keeper.start("named", passing=["NOTIFY_SOCKET"])
    assert {"NOTIFY_SOCKET"} == set(told) & set(keeper.seen("named")["environ"])


def test_what_claude_code_told_the_launcher_reaches_only_a_session_that_names_it(
    make_keeper: Callable[..., Keeper],
) -> None:
    told = {**dict.fromkeys(OF_A_CLIENT, "of another session"), WITHOUT_TRANSCRIPT: "1"}
    keeper = make_keeper(told)
    keeper.start("work")
    assert set() == set(told) & set(keeper.seen()["environ"])
    assert set() == set(told) & set(environment_of(keeper.kept().process.pid))
    keeper.start("named", passing=[WITHOUT_TRANSCRIPT])
    assert {WITHOUT_TRANSCRIPT} == set(told) & set(keeper.seen("named")["environ"])


def test_settings_that_a_user_has_for_claude_code_reach_a_session(
    make_keeper: Callable[..., Keeper],
) -> None:
    settings = {
        "ANTHROPIC_BASE_URL": "https://gateway",
        "ANTHROPIC_MODEL": "opus",
        "CLAUDE_CODE_DISABLE_AGENT_VIEW": "1",
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "64000",
        "CLAUDE_CODE_USE_BEDROCK": "1",
        "CLAUDE_ENV_FILE": "/home/me/.claude-env",
        "GIT_EDITOR": "vim",
    }
    keeper = make_keeper({**dict.fromkeys(OF_A_CLIENT, "of another session"), **settings})
    keeper.start("work")
    assert settings.items() <= keeper.seen()["environ"].items()


def test_argv_arrives_exactly(keeper: Keeper) -> None:
    keeper.start("work", str(keeper.witness), *ODD)
    assert ODD == keeper.seen()["argv"]


def test_last_argument_that_ends_in_a_semicolon_arrives_exactly(keeper: Keeper) -> None:
    keeper.start("work", str(keeper.witness), "a b;")
    assert ["a b;"] == keeper.seen()["argv"]


def test_command_of_one_word_is_a_program_and_no_shell_line(keeper: Keeper) -> None:
    odd = keeper.vm.root / "exit 3; 'witness"
    keeper.witness.rename(odd)
    keeper.start("work", str(odd))
    assert [] == keeper.seen()["argv"]


@pytest.mark.parametrize(
    "name", ["two words", "#1", "#{pane_id}", "#[x", "it's", 'a"b', "$HOME", "été 🙂 Á", "a;", "-P"]
)
@pytest.mark.sampled(9)
def test_session_runs_in_its_directory(keeper: Keeper, name: str) -> None:
    directory = keeper.vm.root / name
    directory.mkdir()
    keeper.start("work", directory=directory)
    assert str(directory) == keeper.seen()["cwd"]


def test_session_is_not_started_in_another_directory_than_its_own(keeper: Keeper) -> None:
    keeper.start("work", directory=keeper.vm.root / "gone")
    assert "exited with status 72" == keeper.dead().ending
    assert [] == keeper.witnesses()


@pytest.mark.parametrize(
    ("last", "ending"),
    [
        ("exit 3", "exited with status 3"),
        ("exit 0", "exited with status 0"),
        ("kill -9 $$", "ended by signal 9"),
    ],
)
def test_end_of_a_session_is_told_with_its_reason_and_its_last_words(
    keeper: Keeper, last: str, ending: str
) -> None:
    """The words are out before the end: tmux 3.3a drops what it has not read by then."""
    go, words = keeper.vm.root / "go", "first words\nlast words"
    script = f"echo '{words}'; while [ ! -e {go} ]; do sleep 0.01; done; {last}"
    keeper.start("work", "sh", "-c", script)
    alive = keeper.backend.kept()[0]
    wait_until(lambda: keeper.backend.words(alive) == words, "the session speaks")
    go.touch()
    dead = keeper.dead()
    assert (ending, words) == (dead.ending, keeper.backend.words(dead))


@pytest.mark.thorough
def test_end_at_any_moment_of_a_look_is_told_with_its_reason(keeper: Keeper) -> None:
    """A session may end between a backend's question and the look at its process."""
    names = [f"s{number}" for number in range(12)]
    endings = []
    for number, name in enumerate(names):
        keeper.start(name, "sh", "-c", f"sleep 0.0{number // 2}; exit 3")
        endings.append(keeper.dead(name).ending)
    assert ["exited with status 3"] * len(names) == endings


def test_dead_session_is_forgotten_once_discarded(keeper: Keeper) -> None:
    keeper.start("work", "true")
    keeper.start("other")
    keeper.backend.discard(keeper.dead())
    assert ["other"] == [kept.name for kept in keeper.another_backend().kept()]


def test_session_leads_a_session_and_a_group_of_its_own(keeper: Keeper) -> None:
    keeper.start("work")
    seen = keeper.seen()
    assert [seen["pid"]] * 2 == [seen["session"], seen["group"]]


def test_signal_that_the_launcher_ignores_still_ends_a_session(keeper: Keeper) -> None:
    numbers = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        keeper.start("work")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert [] == keeper.seen()["ignored"]


def test_names_that_begin_alike_are_told_apart(keeper: Keeper) -> None:
    keeper.inventory("work", "work2")
    keeper.start("work2")
    assert ["work2"] == [kept.name for kept in keeper.backend.kept()]
    keeper.start("work")
    pids = {name: keeper.seen(name)["pid"] for name in ("work", "work2")}
    assert [("work", "stopped")] == keeper.down("work")
    assert [(pids["work2"], True)] == [
        (kept.process.pid, kept.alive) for kept in keeper.backend.kept()
    ]


def test_down_asks_politely_and_leaves_nothing(keeper: Keeper) -> None:
    marker, ready = keeper.vm.root / "polite", keeper.vm.root / "ready"
    keeper.inventory("work", "asleep")
    script = f"trap '> {marker}; exit' TERM; > {ready}; while :; do sleep 0.01; done"
    keeper.start("work", "sh", "-c", script)
    wait_until(ready.exists, "the session is ready")
    assert [("work", "stopped"), ("asleep", "stopped")] == keeper.down()
    assert marker.exists()
    assert [] == keeper.backend.kept()
    assert [] == keeper.vm.processes()


def test_down_takes_a_name_given_twice_once(keeper: Keeper) -> None:
    keeper.inventory("work")
    keeper.start("work")
    assert [("work", "stopped")] == keeper.down("work", "work")


def test_down_ends_what_ignores_the_polite_signal(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = keeper.vm.root / "ready"
    keeper.inventory("work")
    script = f"trap '' TERM HUP; sleep 300 & > {ready}; while :; do sleep 1; done"
    keeper.start("work", "sh", "-c", script)
    wait_until(ready.exists, "the session is ready")
    monkeypatch.setattr("launcher.stop.end", partial(end, grace=0.2))
    assert [("work", "stopped")] == keeper.down()
    assert [] == keeper.backend.kept()
    wait_until(lambda: not keeper.vm.processes(), "its children are gone as well")


@pytest.mark.thorough
def test_end_is_reported_without_the_words(keeper: Keeper) -> None:
    script = "echo my secret; sleep 0.2; exit 3"
    keeper.vm.write({"work": ["sh", "-c", script]}, backend=keeper.name, settle=5)
    done = keeper.vm.run("up")
    assert 69 == done.returncode
    assert "my secret" in done.stdout
    session = {"name": "work", "account": "primary", "state": "failed"}
    assert [{**session, "detail": "it exited with status 3"}] == keeper.vm.report["sessions"]
    assert "my secret" not in keeper.vm.report_path.read_text()


@pytest.mark.parametrize("change", ["account", "name", "home"])
@pytest.mark.sampled(3)
def test_session_of_another_account_is_a_failure_and_left_alone(
    keeper: Keeper, change: str
) -> None:
    keeper.start("work")
    pid = keeper.seen()["pid"]
    keeper.inventory("work")
    text = keeper.vm.inventory.read_text()
    if change == "account":
        text = text.replace('account = "primary"', 'account = "backup"')
    elif change == "name":
        text = text.replace('"primary"', '"first"')
    else:
        moved = keeper.vm.root / "moved"
        keeper.vm.home("primary").rename(moved)
        text = text.replace(str(keeper.vm.home("primary")), str(moved))
    keeper.vm.inventory.write_text(text)
    assert 69 == keeper.vm.run("up").returncode
    assert ["failed"] == [session["state"] for session in keeper.vm.report["sessions"]]
    assert f"pid {pid}" in keeper.vm.report["sessions"][0]["detail"]
    assert [pid] == [kept.process.pid for kept in keeper.backend.kept() if kept.alive]
    assert 1 == len(keeper.witnesses())


@pytest.mark.sampled(2)
def test_two_launchers_at_once_start_one_session(keeper: Keeper) -> None:
    keeper.inventory("work")
    command = [*keeper.vm.prefix, sys.executable, "-m", "launcher"]
    command += ["--inventory", str(keeper.vm.inventory)]
    both = [
        subprocess.Popen(
            [*command, "up", "--json"], env=keeper.environ, cwd=keeper.vm.root, stdout=-1
        )
        for _ in range(2)
    ]
    answers = [json.loads(launcher.communicate(timeout=60)[0]) for launcher in both]
    assert [0, 0] == [launcher.returncode for launcher in both]
    states = sorted(answer["sessions"][0]["state"] for answer in answers)
    assert ["running", "started"] == states
    assert keeper.kept().process.pid == keeper.seen()["pid"]
    assert 1 == len(keeper.witnesses())


@pytest.mark.sampled(2)
def test_session_of_the_other_backend_is_not_started_twice(keeper: Keeper) -> None:
    other = {"process": "tmux", "tmux": "process", "systemd": "tmux"}[keeper.name]
    keeper.start("work")
    keeper.seen()
    keeper.vm.write({"work": [str(keeper.witness)]}, backend=other)
    done = keeper.vm.run("up")
    assert 0 == done.returncode
    assert ["running"] == [session["state"] for session in keeper.vm.report["sessions"]]
    assert 1 == len(keeper.witnesses())
    assert 0 == keeper.vm.run("down").returncode
    assert [] == keeper.vm.processes()


@pytest.mark.sampled(2)
def test_session_outlives_the_launcher_that_started_it(keeper: Keeper, vm: Vm) -> None:
    keeper.inventory("work")
    assert 0 == vm.run("up", start_new_session=True).returncode
    assert keeper.kept().alive
    assert 0 == vm.run("up").returncode
    assert ["running"] == [session["state"] for session in vm.report["sessions"]]
