"""``launcher init``: what it finds, what it proposes, and that it overwrites nothing."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from invariants.inventory import VARIABLE, default_places, load
from launcher import initial as module
from launcher.cli import main
from launcher.errors import Refused
from launcher.initial import initial, write
from launcher.proposal import propose
from tests.vm import snapshot


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the home directory of a user who has nothing yet; nobody else's inventory counts."""
    home = tmp_path / "user"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    for variable in (VARIABLE, "CLAUDE_CONFIG_DIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    # The one in /etc belongs to the machine.
    monkeypatch.setattr("invariants.inventory.default_places", lambda env: default_places(env)[:1])
    return home


@pytest.fixture
def running(user: Path) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Return processes of the user's, started by a test that names their home."""
    started: dict[str, subprocess.Popen[bytes]] = {}
    yield started
    for process in started.values():
        process.kill()
        process.wait()


def home(user: Path, name: str, *entries: str) -> Path:
    """Make a home that was used: it has *entries*, ``projects`` if none are named."""
    path = user / name
    for entry in entries or ("projects",):
        (path / entry).mkdir(parents=True)
    path.chmod(0o700)
    return path


def place(user: Path) -> Path:
    return user / ".config" / "claude-failover" / "failover.toml"


def proposed(user: Path) -> dict[str, Any]:
    """Return the proposal as TOML tells it."""
    return tomllib.loads(initial(str(place(user)), os.environ).text)


def test_homes_become_accounts_named_after_their_directories(user: Path) -> None:
    for name in (".claude", ".claude-work", ".claude-My Box"):
        home(user, name)
    (user / ".claude-new").mkdir()  # made, and not used yet
    assert [
        {"name": "default", "home": "~/.claude"},
        {"name": "My-Box", "home": "~/.claude-My Box"},
        {"name": "new", "home": "~/.claude-new"},
        {"name": "work", "home": "~/.claude-work"},
    ] == proposed(user)["accounts"]


def test_written_inventory_loads_and_is_the_users_alone(
    user: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    home(user, ".claude-a")
    home(user, ".claude-b")
    assert 0 == main(["init"])
    out = capfd.readouterr().out
    assert f"wrote {place(user)}: 2 accounts\n" in out
    assert "launcher ensure --dry-run" in out
    inventory = load(str(place(user)))
    assert ["a", "b"] == [account.name for account in inventory.accounts]
    assert f"{user}/.local/share/claude-shared/projects" == inventory.links[2].target
    assert 0o600 == stat.S_IMODE(place(user).stat().st_mode)
    assert ["failover.toml"] == [path.name for path in place(user).parent.iterdir()]


@pytest.mark.parametrize("there", ["file", "dangling", "directory"])
def test_nothing_is_overwritten(user: Path, capfd: pytest.CaptureFixture[str], there: str) -> None:
    home(user, ".claude")
    place(user).parent.mkdir(parents=True)
    if there == "file":
        place(user).write_text("mine")
    elif there == "dangling":
        place(user).symlink_to(user / "elsewhere")
    else:
        place(user).mkdir()
    before = snapshot(user)
    assert 1 == main(["init"])
    assert before == snapshot(user)
    assert "exists, and was left as it is" in capfd.readouterr().err


def test_what_appears_behind_the_look_is_not_overwritten(user: Path) -> None:
    home(user, ".claude")
    made = initial(str(place(user)), os.environ)
    place(user).parent.mkdir(parents=True)
    place(user).write_text("mine")
    with pytest.raises(Refused, match="exists by now"):
        write(made)
    assert "mine" == place(user).read_text()
    assert [place(user)] == list(place(user).parent.iterdir())


def test_dry_run_prints_and_writes_nothing(user: Path, capfd: pytest.CaptureFixture[str]) -> None:
    home(user, ".claude")
    before = snapshot(user)
    assert 0 == main(["init", "--dry-run"])
    assert "default" == tomllib.loads(capfd.readouterr().out)["accounts"][0]["name"]
    assert before == snapshot(user)


def test_json_tells_all(user: Path, capfd: pytest.CaptureFixture[str]) -> None:
    home(user, ".claude", "session-env")
    assert 0 == main(["init", "--json", "--inventory", str(user / "mine.toml")])
    document = json.loads(capfd.readouterr().out)
    assert (str(user / "mine.toml"), True) == (document["inventory"], document["written"])
    assert document["text"] == (user / "mine.toml").read_text()
    (account,) = document["accounts"]
    assert "empty-directory, empty directory" == account["entries"]["session-env"]


def test_a_place_that_others_can_write_is_refused(
    user: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    home(user, ".claude")
    open_to_all = user / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    assert 78 == main(["init", "--inventory", str(open_to_all / "f.toml")])
    assert "can be replaced by everyone" in capfd.readouterr().err
    assert [] == list(open_to_all.iterdir())
    assert 1 == main(["init", "--inventory", "/proc/no/f.toml"])
    assert "/proc/no/f.toml: cannot be written: " in capfd.readouterr().err


def test_an_inventory_that_would_be_hidden_is_told(
    user: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    home(user, ".claude")
    system = user / "etc.toml"
    system.touch()
    places = [str(place(user)), str(system)]
    monkeypatch.setattr(module, "default_places", lambda environ: places)
    monkeypatch.setattr(module, "locate", lambda option, environ: option or str(system))
    assert 1 == main(["init"])
    assert f"{system}: is the inventory already" in capfd.readouterr().err
    assert 0 == main(["init", "--inventory", str(user / "other.toml")])


def test_without_a_home_it_says_where_it_looked(
    user: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (user / ".claude-mem" / "cache").mkdir(parents=True)
    (user / ".claude").write_text("")
    assert 78 == main(["init"])
    told = capfd.readouterr().err
    assert "no home of Claude Code was found" in told
    assert f"{user}/.claude-mem: does not look like a home" in told
    assert f"{user}/.claude: no directory" in told
    assert "fix: CLAUDE_CONFIG_DIR=" in told


def test_links_that_are_there_tell_the_root_and_the_targets(user: Path, tmp_path: Path) -> None:
    shared, data = tmp_path / "srv", tmp_path / "data" / "all-projects"
    data.mkdir(parents=True)
    for link in ("session-env", "file-history", "tasks"):
        (shared / link).mkdir(parents=True)
    for name in (".claude-a", ".claude-b"):
        path = user / name
        path.mkdir()
        for link in ("session-env", "file-history", "tasks"):
            (path / link).symlink_to(shared / link)
        (path / "projects").symlink_to(data)
    (user / ".claude-b" / "tasks").unlink()
    document = proposed(user)
    assert {
        "root": str(shared),
        "links": ["session-env", "file-history", "projects", "tasks"],
        "targets": {"projects": str(data)},
    } == document["shared"]
    states = [account.entries for account in propose(os.environ).accounts]
    assert ["shared", "missing"] == [entries["tasks"] for entries in states]


def test_a_link_into_another_home_is_no_target(user: Path) -> None:
    home(user, ".claude", "projects")
    (user / ".claude-b").mkdir()
    (user / ".claude-b" / "projects").symlink_to(user / ".claude" / "projects")
    proposal = propose(os.environ)
    assert f"{user}/.local/share/claude-shared" == proposal.root
    assert proposal.accounts[1].entries["projects"].startswith("divergent, symlink to ")


def test_homes_of_running_processes_are_found(
    user: Path, tmp_path: Path, running: dict[str, subprocess.Popen[bytes]]
) -> None:
    for name in ("mine", "theirs"):
        path = tmp_path / "homes" / name
        path.mkdir(parents=True)
        environ = {"CLAUDE_CONFIG_DIR": f"{path}/.", "HOME": str(user)}
        if name == "theirs":
            environ["HOME"] = str(tmp_path / "nowhere")
        running[name] = subprocess.Popen(["sleep", "600"], env=environ)
    proposal = propose(os.environ)
    assert [("mine", f"{tmp_path}/homes/mine")] == [
        (account.name, account.home) for account in proposal.accounts
    ]


@pytest.mark.parametrize("named", ["by nothing", "by the shell", "by XDG_CONFIG_HOME"])
def test_home_below_config_is_found(
    user: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    path = home(
        user, ".config/claude" if named != "by XDG_CONFIG_HOME" else "conf/claude", "sessions"
    )
    if named == "by the shell":
        monkeypatch.setenv("CLAUDE_CONFIG_DIR", f"{path}/")
    if named == "by XDG_CONFIG_HOME":
        monkeypatch.setenv("XDG_CONFIG_HOME", str(user / "conf"))
    assert [("claude", str(path))] == [
        (account.name, account.home) for account in propose(os.environ).accounts
    ]


def test_home_that_the_shell_names_is_found_wherever_it_is(
    user: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir(mode=0o700)
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "mine"))
    proposal = propose(os.environ)
    assert [str(tmp_path / "mine")] == [one.home for one in proposal.accounts], proposal
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "gone"))
    assert f"{tmp_path}/gone" in propose(os.environ).left_out


def test_a_session_that_runs_is_proposed_as_a_comment(user: Path) -> None:
    path = home(user, ".claude", "sessions")
    work = user / "src" / "api"
    work.mkdir(parents=True)
    records: dict[str, object] = {
        "1": {"pid": os.getpid(), "cwd": str(work)},
        "2": {"pid": os.getpid(), "cwd": str(work)},
        "3": {"pid": 0, "cwd": str(user)},
        "4": {"pid": "x"},
        "5": [],
        "6": {"pid": os.getpid(), "cwd": str(user / "gone")},
        "7": {"pid": os.getpid(), "cwd": "/"},
    }
    for name, record in records.items():
        (path / "sessions" / f"{name}.json").write_text(json.dumps(record))
    (path / "sessions" / "8.json").write_text("{")
    text = initial(str(place(user)), os.environ).text
    assert "sessions" not in tomllib.loads(text)
    assert (
        "# It runs in ~/src/api now: end it before `launcher up`.\n# [[sessions]]\n"
        '# name = "api"\n# account = "default"\n# directory = "~/src/api"\n'
    ) in text
    assert '# name = "root"\n' in text
    whole = text.replace("# [[", "[[").replace("# name", "name").replace("# acc", "acc")
    whole = whole.replace("# dir", "dir").replace("# command", "command")
    assert ["api", "root"] == [one["name"] for one in tomllib.loads(whole)["sessions"]]


def test_what_cannot_be_a_home_is_left_out_with_the_reason(user: Path) -> None:
    home(user, ".claude")
    home(user, ".claude-line\nbreak")
    (user / ".claude-again").symlink_to(user / ".claude")
    (user / ".claude-inner").symlink_to(user / ".claude" / "inner")
    (user / ".claude-loop").symlink_to(user / ".claude-loop")
    text = initial(str(place(user)), os.environ).text
    assert ["default"] == [account["name"] for account in tomllib.loads(text)["accounts"]]
    assert "#   ~/.claude-again: is one of the homes by another name\n" in text
    assert "#   ~/.claude-loop: cannot be read: Too many levels of symbolic links\n" in text
    assert "line\\nbreak': its name holds a character that cannot be printed\n" in text


def test_a_home_within_another_is_left_out(
    user: Path, running: dict[str, subprocess.Popen[bytes]]
) -> None:
    path = home(user, ".claude", "projects/x")
    environ = {"CLAUDE_CONFIG_DIR": f"{path}/projects/x", "HOME": str(user)}
    running["inner"] = subprocess.Popen(["sleep", "600"], env=environ)
    proposal = propose(os.environ)
    assert {f"{path}/projects/x": "it lies inside another home, or around one"} == dict(
        proposal.left_out
    )


def test_names_of_accounts_are_unique(user: Path) -> None:
    for name in (".claude-a!", ".claude-a?", ".claude-!"):
        home(user, name)
    assert ["unnamed", "a", "a-2"] == [one.name for one in propose(os.environ).accounts]
