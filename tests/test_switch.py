"""``switch``: what it does to a session, what it refuses, and what a failure or a kill leaves."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable

import pytest

import launcher.prompt
import launcher.switch
from invariants.warning import Warned
from launcher.errors import Locked, NotJudged, Unavailable
from launcher.interrupts import Interrupts
from launcher.lock import conversations_locked
from launcher.render import Painter, switch_text
from launcher.sessions import warned
from launcher.sessions.survey import Survey
from launcher.switch import Move, Outcome
from tests import client
from tests.leaders import Leaders
from tests.sessions.test_survey import WITHOUT_TMUX
from tests.steps import STEPS, killed_at
from tests.switching import Switching, edited, told, use_quick_gate
from tests.vm import Vm, snapshot, wait_until


@pytest.fixture
def api(vm: Vm, monkeypatch: pytest.MonkeyPatch) -> Switching:
    """Return a VM whose session runs the stand-in for Claude Code, not started yet."""
    use_quick_gate(monkeypatch)
    return Switching(vm)


@pytest.mark.parametrize("backend", ["process", "tmux"])
@pytest.mark.sampled(1)
def test_conversation_goes_on_under_the_other_account_and_comes_back(vm: Vm, backend: str) -> None:
    api = Switching(vm, backend)
    assert "started" == api.up().state
    old = api.runs[0].process
    done = api.switch("backup")
    assert (Outcome.SWITCHED, 0, api.conversation) == (
        done.outcome,
        done.exit_code,
        done.conversation,
    )
    assert not old.is_alive()
    assert ["home-primary", "home-backup"] == client.transcripts(vm)[api.conversation]
    assert ("backup", "primary", "running") == told(api.status)
    assert ("green", [("backup", "started")]) == api.report
    assert "primary" == vm.report["sessions"][0]["wanted"]

    assert Outcome.SWITCHED == api.switch("primary").outcome
    assert ("primary", None, "running") == told(api.status)
    assert not api.placement.exists()
    assert "wanted" not in vm.report["sessions"][0]
    assert 3 == len(client.transcripts(vm)[api.conversation])


def test_switch_survives_a_reboot(api: Switching) -> None:
    api.up()
    api.switch("backup")
    api.vm.kill()
    assert ("backup", "primary", "started") == told(api.up())
    homes = client.transcripts(api.vm)[api.conversation]
    assert ["home-primary", "home-backup", "home-backup"] == homes


def test_session_that_does_not_run_is_started_where_it_is_to_be(api: Switching) -> None:
    assert Outcome.SWITCHED == api.switch("backup").outcome
    assert ("backup", "primary", "running") == told(api.status)
    api.down()
    assert Outcome.SWITCHED == api.switch("backup").outcome
    assert ["home-backup", "home-backup"] == client.transcripts(api.vm)[api.conversation]


def test_session_that_is_there_already_is_not_touched(api: Switching) -> None:
    api.up()
    before = api.runs
    done = api.switch("primary")
    assert (Outcome.THERE, 0) == (done.outcome, done.exit_code)
    assert before == api.runs
    assert ("green", [("primary", "running")]) == api.report


def test_lost_placement_is_written_anew_by_the_same_switch(api: Switching) -> None:
    api.up()
    api.switch("backup")
    api.placement.unlink()
    assert "failed" == api.status.state
    before = api.runs
    assert Outcome.THERE == api.switch("backup").outcome
    assert (before, ("backup", "primary", "running")) == (api.runs, told(api.status))


def test_program_that_is_no_claude_is_switched_without_a_conversation(api: Switching) -> None:
    api.write(command=["sleep", "600"])
    (api.vm.home("backup") / ".claude.json").unlink()
    assert 0 == api.vm.run("up").returncode
    done = api.switch("backup")
    assert (Outcome.SWITCHED, None) == (done.outcome, done.conversation)
    assert ("backup", "primary", "running") == told(api.status)


def test_dry_run_writes_nothing(api: Switching) -> None:
    api.up()
    before = snapshot(api.vm.root)
    done = api.switch("backup", dry_run=True)
    assert (Outcome.PLANNED, 0) == (done.outcome, done.exit_code)
    assert (api.conversation, (api.runs[0].process.pid,)) == (done.conversation, done.pids)
    assert Outcome.THERE == api.switch("primary", dry_run=True).outcome
    assert before == snapshot(api.vm.root)


def test_red_gate_switches_nothing(api: Switching) -> None:
    api.up()
    before = api.runs
    api.vm.diverge()
    for dry_run in (False, True):
        done = api.switch("backup", dry_run=dry_run)
        assert (Outcome.HELD, 1) == (done.outcome, done.exit_code)
    assert (before, "red") == (api.runs, api.vm.report["verdict"])


def _state(api: Switching, **changes: object) -> None:
    edited(api.vm.home("backup") / ".claude.json", **changes)


UNFIT: dict[str, Callable[[Switching], object]] = {
    "not-logged-in": lambda api: (api.vm.home("backup") / ".credentials.json").unlink(),
    "not-onboarded": lambda api: _state(api, hasCompletedOnboarding=False),
    "not-trusted": lambda api: _state(api, projects={}),
    "not-allowed": lambda api: api.write("failover = []"),
}


@pytest.mark.parametrize("state", UNFIT)
def test_account_that_is_not_fit_is_refused_before_the_session_is_touched(
    api: Switching, state: str
) -> None:
    api.up()
    before = api.runs
    UNFIT[state](api)
    done = api.switch("backup")
    # Some of it is an invariant as well: then the gate says so.
    failures = [failure.finding for failure in done.gate.verdict.failures]
    assert state in [finding.state for finding in (*done.findings, *failures)]
    assert (True, 1) == (done.outcome in (Outcome.REFUSED, Outcome.HELD), done.exit_code)
    assert all(finding.fix for finding in done.findings)
    assert (before, False) == (api.runs, api.placement.exists())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a home away")
def test_home_of_another_user_is_refused_by_the_gate(api: Switching) -> None:
    api.up()
    os.chown(api.vm.home("backup"), 1, -1)
    done = api.switch("backup")
    assert (Outcome.HELD, 1) == (done.outcome, done.exit_code)
    assert "home_is_usable" in [one.finding.invariant for one in done.gate.verdict.failures]
    os.chown(api.vm.home("backup"), 0, -1)


def test_conversation_that_somebody_has_open_is_refused_by_switch_and_up(
    api: Switching, leaders: Leaders
) -> None:
    api.up()
    conversation, before = api.conversation, api.runs
    stranger = leaders.run("sh", "-c", "sleep 600; :", "claude", "--resume", conversation)
    done = api.switch("backup")
    (finding,) = done.findings
    assert (Outcome.REFUSED, "open-elsewhere") == (done.outcome, finding.state)
    assert (f"kill {stranger.pid}", before) == (finding.fix, api.runs)
    api.down()
    status = api.up()
    assert ("failed", True) == (status.state, f"pid {stranger.pid}" in str(status.detail))
    os.killpg(stranger.pid, signal.SIGKILL)
    wait_until(lambda: not stranger.is_alive(), "the stranger has ended")
    assert "started" == api.up().state


def test_run_of_another_inventory_is_refused(api: Switching) -> None:
    own, other = api.vm.inventory, api.vm.root / "other.toml"
    api.vm.inventory = other
    api.write()
    api.up()
    api.vm.inventory = own
    (api.vm.state / "sessions" / "api.json").unlink()
    before = api.runs
    done = api.switch("backup")
    states = [finding.state for finding in done.findings]
    assert (Outcome.REFUSED, "runs-elsewhere") == (done.outcome, states[0])
    assert f"launcher --inventory {other} down api" == done.findings[0].fix
    assert before == api.runs


@pytest.mark.parametrize(
    ("trouble", "words"),
    [("refuse", "exited with status 1"), ("mute", "not at its prompt"), ("stray", "went over")],
)
@pytest.mark.sampled(1)
def test_session_that_does_not_come_up_is_brought_back(
    api: Switching, monkeypatch: pytest.MonkeyPatch, trouble: str, words: str
) -> None:
    monkeypatch.setattr(launcher.prompt, "PATIENCE", 0.5)
    api.up()
    api.trouble("backup", trouble, "11111111-2222-3333-4444-555555555555\n")
    done = api.switch("backup")
    assert (Outcome.RETURNED, 69) == (done.outcome, done.exit_code)
    assert words in str(done.detail)
    assert str(done.detail).endswith("it runs under primary again")
    assert ("primary", None, "running") == told(api.status)
    assert ("green", [("primary", "started")]) == api.report
    assert 1 == len(api.runs)
    assert not api.placement.exists()


def test_session_that_did_not_run_stays_stopped_where_it_does_not_come_up(api: Switching) -> None:
    api.trouble("backup", "refuse")
    done = api.switch("backup")
    assert (Outcome.FAILED, 69) == (done.outcome, done.exit_code)
    assert ("primary", None, "stopped") == told(api.status)
    assert ("green", [("primary", "failed")]) == api.report


def test_session_that_comes_up_nowhere_is_failed_and_says_both_reasons(api: Switching) -> None:
    api.up()
    api.trouble("backup", "refuse")
    api.trouble("primary", "refuse")
    done = api.switch("backup")
    assert (Outcome.FAILED, 69) == (done.outcome, done.exit_code)
    assert "did not come up under backup" in str(done.detail)
    assert "not brought back under primary: it exited with status 1" in str(done.detail)
    assert ("green", [("primary", "failed")]) == api.report
    assert [] == api.runs


@pytest.mark.thorough
def test_session_that_is_back_only_for_a_moment_is_failed(api: Switching) -> None:
    api.write(settle=0.1)
    api.up()
    api.trouble("backup", "refuse")
    api.trouble("primary", "weary")
    done = api.switch("backup")
    assert Outcome.FAILED == done.outcome
    assert "not brought back under primary: it exited with status 1" in str(done.detail)
    assert "tired words" == done.words
    assert ("green", [("primary", "failed")]) == api.report


def test_session_that_is_back_without_a_prompt_is_said_to_be_so(
    api: Switching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launcher.prompt.PATIENCE", 0.5)
    api.up()
    api.trouble("backup", "refuse")
    api.trouble("primary", "mute")
    done = api.switch("backup")
    assert Outcome.RETURNED == done.outcome
    assert "runs under primary again, but it is not at its prompt" in str(done.detail)
    assert ["primary"] == [run.account for run in api.runs]


def test_old_process_that_ignores_the_polite_signal_is_dead_before_the_new_one_starts(
    api: Switching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launcher.switch.end", lambda groups, deaf: _end(groups, deaf, 0.3))
    from launcher.sessions.groups import end as _end

    api.trouble("primary", "deaf")
    api.up()
    old = api.runs[0]
    assert Outcome.SWITCHED == api.switch("backup").outcome
    assert not old.process.is_alive()
    assert [] == [pid for pid in api.vm.processes() if pid == old.process.pid]


def test_old_process_that_does_not_end_lets_nothing_start(
    api: Switching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that waits for a dead disk: no signal ends it."""
    monkeypatch.setattr("launcher.switch.end", lambda groups, deaf: None)
    api.up()
    before = api.runs
    done = api.switch("backup")
    assert (Outcome.FAILED, 69) == (done.outcome, done.exit_code)
    assert "still running under primary: pid " in str(done.detail)
    assert f"pid {before[0].process.pid}" in str(done.detail)
    assert (before, False) == (api.runs, api.placement.exists())
    assert ["home-primary"] == client.transcripts(api.vm)[api.conversation]


@pytest.mark.parametrize("step", ["place", "start", "see_ready"])
@pytest.mark.sampled(1)
def test_signal_or_fault_after_the_end_brings_the_session_back(
    api: Switching, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    api.up()
    inner = getattr(Move, step)

    def spoilt(move: Move, account: str, *rest: object) -> object:
        if account == "backup":
            if step == "see_ready":
                os.kill(os.getpid(), signal.SIGINT)
            else:
                raise RecursionError("nobody thought of this")
        return inner(move, account, *rest)

    monkeypatch.setattr(Move, step, spoilt)
    if step == "see_ready":
        api.trouble("backup", "mute")
    done = api.switch("backup")
    assert Outcome.RETURNED == done.outcome
    reason = "interrupted by SIGINT" if step == "see_ready" else "nobody thought of this"
    assert reason in str(done.detail)
    assert ("primary", None, "running") == told(api.status)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("at", ["end", "look", "survey"])
def test_look_that_fails_after_the_end_leaves_no_session_stopped(
    api: Switching, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """Processes may come and go faster than they can be looked at, for some seconds."""
    api.up()
    if at == "survey":
        api.trouble("backup", "refuse")
    failures = iter([Unavailable("processes come and go")] * (1 if at == "end" else 3))
    name = {"end": "end", "look": "look", "survey": "Survey"}[at]
    inner = getattr(launcher.switch, name)

    def spoilt(*arguments: object) -> object:
        if at == "end":
            inner(*arguments)
        if not api.vm.processes() and (failure := next(failures, None)):
            raise failure
        return inner(*arguments)

    monkeypatch.setattr(launcher.switch, name, spoilt)
    done = api.switch("backup")
    assert None is next(failures, None)
    assert (Outcome.SWITCHED if at == "look" else Outcome.RETURNED) == done.outcome
    account = "backup" if at == "look" else "primary"
    assert (account, "running") == (api.status.account, api.status.state)


def test_conversation_that_a_client_notes_before_it_resumes_its_own_is_waited_out(
    api: Switching,
) -> None:
    """As 2.1.150 does for a tenth of a second."""
    api.up()
    api.trouble("backup", "fresh", "11111111-2222-4333-8444-555555555555\n")
    conversation = api.conversation
    done = api.switch("backup")
    assert (Outcome.SWITCHED, conversation) == (done.outcome, done.conversation), done.detail
    assert ("backup", "running") == (api.status.account, api.status.state)
    assert conversation == api.conversation


@WITHOUT_TMUX
def test_switch_brings_a_lost_socket_back(vm: Vm) -> None:
    api = Switching(vm, "tmux")
    api.up()
    vm.tmux_socket.unlink()
    assert Outcome.SWITCHED == api.switch("backup").outcome
    assert ("backup", "running") == (api.status.account, api.status.state)
    assert 1 == len(vm.tmux_servers())


@WITHOUT_TMUX
@pytest.mark.parametrize("step", ["end", "place", "start"])
@pytest.mark.thorough
def test_socket_that_is_lost_in_the_middle_of_a_switch_is_brought_back(
    vm: Vm, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """A second session keeps the server, as a cleaner of /tmp finds it."""
    api = Switching(vm, "tmux")
    vm.write({"api": [str(api.program)], "docs": ["sleep", "600"]}, backend="tmux")
    assert 0 == vm.run("up").returncode
    servers = vm.tmux_servers()
    inner = getattr(Move, step)

    def lost(move: Move, *arguments: object) -> object:
        vm.tmux_socket.unlink(missing_ok=True)
        return inner(move, *arguments)

    monkeypatch.setattr(Move, step, lost)
    api.switch("backup")
    states = {one["name"]: one["state"] for one in vm.report["sessions"]}
    assert ({"api": "started", "docs": "running"}, servers) == (states, vm.tmux_servers())
    assert 2 == len(vm.report["sessions"])


@WITHOUT_TMUX
def test_switch_ends_nothing_where_a_lost_socket_cannot_be_brought_back(vm: Vm) -> None:
    """Another server answers in its place: what is started there could not be told apart."""
    api = Switching(vm, "tmux")
    api.up()
    before = api.runs
    vm.tmux_socket.unlink()
    stranger = ["tmux", "-L", vm.tmux_socket.name, "-f", os.devnull, "new-session", "-d"]
    subprocess.run([*stranger, "sleep", "600"], env=vm.environ, check=True)
    done = api.switch("backup")
    assert (Outcome.REFUSED, ["unseen"]) == (done.outcome, [one.state for one in done.findings])
    assert [one.process for one in before] == [one.process for one in api.runs]


@pytest.mark.parametrize("broken", ["directory", "file"])
def test_switch_ends_nothing_where_no_lock_can_be_made(api: Switching, broken: str) -> None:
    api.up()
    before = api.runs
    holders = api.vm.state / "holders"
    if broken == "directory":
        shutil.rmtree(holders)
        holders.write_text("in the way")
    else:
        (holders / "api.lock").unlink()
        (holders / "api.lock").mkdir()
    with pytest.raises(Unavailable, match=r"lock cannot be made: .*/holders/api\.lock"):
        api.switch("backup")
    assert before == api.runs


def test_placement_that_cannot_be_written_brings_the_session_back(api: Switching) -> None:
    api.up()
    api.placement.parent.write_text("in the way")
    done = api.switch("backup")
    assert (Outcome.RETURNED, True) == (done.outcome, "cannot be noted" in str(done.detail))
    assert "running" == api.status.state


def test_placement_that_cannot_be_taken_back_is_told(
    api: Switching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk has become read-only meanwhile: the session runs, and is not started twice."""
    api.up()
    api.trouble("backup", "refuse")
    inner = Move.place

    def place(move: Move, account: str) -> None:
        if account == "primary":
            raise NotJudged("the switch cannot be noted: Read-only file system")
        inner(move, account)

    monkeypatch.setattr(Move, "place", place)
    done = api.switch("backup")
    assert Outcome.RETURNED == done.outcome
    assert "Read-only file system: launcher switch api primary; it runs" in str(done.detail)
    assert ("backup", "failed", 1) == (api.status.account, api.status.state, len(api.runs))
    assert "failed" == api.up().state
    monkeypatch.undo()
    assert Outcome.THERE == api.switch("primary").outcome
    assert ("primary", None, "running") == told(api.status)


def test_link_that_breaks_after_the_gate_lets_nothing_start_again(
    api: Switching, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.up()
    inner = Move.place
    monkeypatch.setattr(Move, "place", lambda *args: (api.vm.diverge(), inner(*args)))
    done = api.switch("backup")
    assert (Outcome.FAILED, 1) == (done.outcome, done.exit_code)
    assert "red" == api.vm.report["verdict"]
    assert [] == api.runs


def test_report_that_cannot_be_published_switches_nothing(api: Switching) -> None:
    api.up()
    before = api.runs
    api.write(report=str(api.vm.root / "report"))
    (api.vm.root / "report").mkdir()
    done = api.switch("backup")
    assert (Outcome.HELD, 70) == (done.outcome, done.exit_code)
    assert before == api.runs


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(step, marks=[] if step == "after place" else [pytest.mark.thorough])
        for step in STEPS
    ],
)
def test_launcher_that_is_killed_leaves_what_the_next_one_mends(api: Switching, step: str) -> None:
    api.up()
    killed = api.vm.run("switch", "api", "backup", python=killed_at(step))
    assert -signal.SIGKILL == killed.returncode, killed.stderr
    alive = api.runs
    assert len(alive) <= 1
    ended = step not in ("before end",) and step in STEPS[1:5]
    assert (ended, "stopped" if ended else "running") == (not alive, api.status.state)
    last = step == "after publish"
    assert ("green" if last else "unknown") == api.vm.report["verdict"]
    owner = "primary" if STEPS.index(step) < 3 else "backup"
    assert owner == api.status.account
    assert api.up().state in ("started", "running")
    assert (1, owner) == (len(api.runs), api.runs[0].account)
    assert api.switch("backup").outcome in (Outcome.SWITCHED, Outcome.THERE)
    assert ("backup", "primary", "running") == told(api.status)
    assert 1 == len(client.transcripts(api.vm))


def test_two_launchers_with_different_state_wait_for_one_conversation(api: Switching) -> None:
    api.up()
    with (
        Interrupts() as interrupts,
        conversations_locked(str(api.vm.target("projects")), interrupts),
    ):
        released = threading.Event()

        def other() -> None:
            with Interrupts(signals=()) as deaf, pytest.MonkeyPatch.context() as patch:
                patch.setattr("launcher.lock.PATIENCE", 0.1)
                with (
                    pytest.raises(Locked),
                    conversations_locked(str(api.vm.target("projects")), deaf),
                ):
                    pass
            released.set()

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert released.is_set()


def test_verb_tells_what_it_did(api: Switching) -> None:
    vm = api.vm
    api.up()
    result = vm.run("switch", "api", "backup")
    assert (0, "") == (result.returncode, result.stderr)
    first, _, title, line, *_ = result.stdout.splitlines()
    assert f"api: primary -> backup: switched, with conversation {api.conversation}" == first
    assert ("sessions", True) == (title, line.startswith("  api  backup (not primary)  started"))
    result = vm.run("switch", "api", "--home", "--json")
    document = json.loads(result.stdout)
    assert ("green", "switched", "backup", "primary") == (
        document["verdict"],
        *(document["switch"][key] for key in ("outcome", "from", "to")),
    )
    api.trouble("backup", "refuse")
    result = vm.run("switch", "api", "backup")
    assert 69 == result.returncode
    assert "not switched: it did not come up under backup: it exited" in result.stdout
    assert "\n    | words of the client\n" in result.stdout
    assert "words of the client" not in vm.report_path.read_text()
    (vm.home("backup") / ".credentials.json").unlink()
    result = vm.run("switch", "api", "backup")
    assert (1, True) == (result.returncode, "not-logged-in" in result.stdout)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no", "backup"], "there is no session no; there are api"),
        (["api", "no"], "there is no account no; there are primary, backup"),
        (["api"], "either ACCOUNT or --home"),
        (["api", "backup", "--home"], "either ACCOUNT or --home"),
    ],
)
def test_wrong_arguments_are_usage(api: Switching, arguments: list[str], words: str) -> None:
    result = api.vm.run("switch", *arguments)
    assert (2, "") == (result.returncode, result.stdout)
    assert words in result.stderr


def test_conversation_that_cannot_be_noted_leaves_the_session_alone(
    api: Switching, monkeypatch: pytest.MonkeyPatch
) -> None:
    def follow(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    api.up()
    before = api.runs
    monkeypatch.setattr("launcher.switch.follow", follow)
    with pytest.raises(NotJudged, match="cannot be noted: No space left"):
        api.switch("backup")
    assert before == api.runs


def test_backend_that_cannot_be_asked_switches_nothing(
    api: Switching, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.up()
    before = api.runs
    record = api.vm.state / "sessions" / "api.json"
    whole = record.read_text()
    record.write_text("torn")
    for dry_run in (False, True):
        with pytest.raises(Unavailable, match="cannot be read"):
            api.switch("backup", dry_run=dry_run)
    record.write_text(whole)
    assert before == api.runs


@pytest.mark.parametrize("step", ["start", "publish"])
def test_backend_that_fails_in_the_middle_is_told(
    api: Switching, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """What runs cannot be seen any more: nothing else is started then."""
    monkeypatch.setattr("launcher.switch._PATIENCE", 0.3)
    api.up()
    inner = getattr(Move, step)

    def spoilt(move: Move, *arguments: object) -> object:
        (api.vm.state / "sessions" / "api.json").write_text("torn")
        return inner(move, *arguments)

    monkeypatch.setattr(Move, step, spoilt)
    done = api.switch("backup")
    assert (Outcome.SWITCHED if step == "publish" else Outcome.FAILED) == done.outcome
    (status,) = done.sessions
    assert ("failed", True) == (status.state, "cannot be read" in str(status.detail))


def of(name: str, found: str) -> Warned:
    return Warned("sessions", found, "launcher status", session=name)


def under(survey: Survey, option: str) -> tuple[Warned, ...]:
    """Warn of the account that each session runs under now."""
    return tuple(of(name, kept.account) for name in survey.kept for kept in survey.alive(name))


def test_switch_warns_of_what_is_true_after_it(
    api: Switching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warned, "KINDS", (under,))
    api.up()
    done = api.switch("backup")
    assert (Outcome.SWITCHED, 0) == (done.outcome, done.exit_code)
    assert (of("api", "backup"),) == done.gate.warnings
    assert ["backup"] == [one["found"] for one in api.vm.report["warnings"]]
    assert ["backup"] == [one["found"] for one in done.as_json(api.inventory)["warnings"]]
    text = switch_text(done, api.inventory, Painter(False))
    assert "\n  warning: session api: backup; fix: launcher status\n" in text
    assert (of("api", "backup"),) == api.switch("primary", dry_run=True).gate.warnings
