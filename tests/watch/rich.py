"""A healthy VM in which every family has something to read, and ways to break each of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from invariants.conversations import running
from invariants.folders import RECORDS, folder_of, record_path
from tests.vm import Vm, wait_until

CONVERSATION = str(uuid4())
MARKS = (
    *(".claude.json", ".credentials.json", "history.jsonl", "settings.json", "sessions"),
    *("shell-snapshots", "todos"),
)
_CLIENT = "#!/bin/sh\nread line\n"


class Way(NamedTuple):
    """A way to break one input: of which invariant, at which path below the VM, and as what seen.

    ``seen`` are the invariants of which one must be red then. ``broken`` breaks it while entered.
    """

    invariant: str
    path: str
    seen: tuple[str, ...]
    broken: Callable[[], AbstractContextManager[None]]


class Rich:
    """The VM. Two sessions run `claude`: one in a worktree, one in a directory without git."""

    def __init__(self, vm: Vm) -> None:
        self.vm = vm
        self.root = vm.root
        self._processes: list[subprocess.Popen[bytes]] = []
        self.programs = vm.root / "bin"
        self.programs.mkdir()
        self.claude = self.programs / "claude"
        self.claude.write_text(_CLIENT)
        self.claude.chmod(0o755)
        tmux = shutil.which("tmux") or "/bin/false"
        (self.programs / "tmux").symlink_to(tmux)
        vm.environ["PATH"] = str(self.programs)
        self.worktree, self.docs = vm.root / "work" / "api", vm.root / "work" / "docs"
        self.inside = vm.root / "repository" / ".git" / "worktrees" / "api"
        for directory in (self.worktree, self.docs, self.inside):
            directory.mkdir(parents=True)
        (self.worktree / ".git").write_text(f"gitdir: {self.inside}\n")
        (self.inside / "commondir").write_text("../..\n")
        (self.inside / "gitdir").write_text(f"{self.worktree / '.git'}\n")
        for directory in (self.worktree, self.docs):
            (directory / ".claude").mkdir()
            for name in ("settings.json", "settings.local.json"):
                write(directory / ".claude" / name, {"cleanupPeriodDays": 100})
        self.other, self.markless = vm.root / "other", vm.root / "markless"
        (self.other / "projects").mkdir(parents=True)
        (self.other / "settings.json").touch()
        (self.markless / "projects" / "-src").mkdir(parents=True)
        self.unkept = str(uuid4())  # a conversation of which nothing could be kept
        vm.target("session-env").joinpath(self.unkept).touch()
        for account in vm.accounts:
            self._furnish(account)
        self._write_inventory()
        self.note("primary", self.start())
        # It executes the client later, and has run under another name until then.
        later = f'read line; exec "{self.claude}" --resume {CONVERSATION}'
        self._shell = self._started("/bin/sh", "-c", later)

    def _furnish(self, account: str) -> None:
        home = self.vm.home(account)
        write(home / ".claude.json", self.state(account))
        write(home / ".credentials.json", self.login(account))
        write(home / "settings.json", self.settings())
        for name in ("sessions", "daemon"):
            (home / name).mkdir()
        write(home / "daemon" / "roster.json", {"workers": {}})

    def _write_inventory(self) -> None:
        text = f'[shared]\nroot = "{self.vm.shared}"\n'
        for account in self.vm.accounts:
            text += f'[[accounts]]\nname = "{account}"\nhome = "{self.vm.home(account)}"\n'
        for name, directory in (("api", self.worktree), ("docs", self.docs)):
            text += f'[[sessions]]\nname = "{name}"\naccount = "primary"\n'
            text += f'directory = "{directory}"\ncommand = ["claude"]\n'
        text += f'[launcher]\nstate = "{self.vm.state}"\nbackend = "tmux"\n'
        text += "[invariants]\nparity = true\n[watch]\ninterval = 3600\n"
        self.vm.inventory.write_text(text)

    def login(self, account: str) -> dict[str, object]:
        """Return what a home's `.credentials.json` holds."""
        login = {"accessToken": f"none of {account}", "scopes": ["user:inference"]}
        return {"claudeAiOauth": login}

    def state(self, account: str, **changes: object) -> dict[str, object]:
        """Return what a home's `.claude.json` holds: trust for what is above the directories."""
        trusted = {"hasTrustDialogAccepted": True}
        return {
            "hasCompletedOnboarding": True,
            "projects": {str(self.root / "repository"): trusted, str(self.root.parent): trusted},
            "oauthAccount": {"accountUuid": f"id-{account}"},
            **changes,
        }

    def settings(self, **changes: object) -> dict[str, object]:
        """Return what a home's `settings.json` holds."""
        return {"cleanupPeriodDays": 90, "permissions": {"allow": ["Bash(ls)"]}, **changes}

    def start(self, *words: str) -> int:
        """Start a process called claude; return its pid once its command line is its own."""
        process = self._started(str(self.claude), *words)
        wait_until(lambda: self._is_claude(process.pid), "it runs")
        return process.pid

    def _started(self, *command: str) -> subprocess.Popen[bytes]:
        environ = {**self.vm.environ, "CLAUDE_CONFIG_DIR": str(self.vm.home("primary"))}
        self._processes.append(subprocess.Popen(command, env=environ, stdin=subprocess.PIPE))
        return self._processes[-1]

    @staticmethod
    def _is_claude(pid: int) -> bool:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return running()[pid].name == "claude" and b"/bin/sh" in words

    def end(self, pid: int) -> None:
        """End a process that :meth:`start` has started."""
        for process in self._processes:
            if process.pid == pid:
                process.communicate(b"\n", timeout=20)

    def note(self, account: str, pid: int, **changes: object) -> Path:
        """Write what Claude Code notes of itself while it runs."""
        its = {"pid": pid, "procStart": running()[pid].start, "status": "idle"}
        path = self.vm.home(account) / "sessions" / f"{pid}.json"
        write(path, {**its, "sessionId": CONVERSATION, **changes})
        return path

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.kill()
            process.communicate()

    def ways(self) -> Iterator[Way]:
        """Yield every way, one at least for each input that a family declares below the VM."""
        yield from self._directories()
        yield from self._documents()
        yield from self._trust()
        yield from self._kept()
        yield from self._writers()
        yield from self._strays()

    def _directories(self) -> Iterator[Way]:
        home, target, missing = "home_is_usable", "target_is_usable", moved_away
        for account in self.vm.accounts:
            path = self.vm.home(account)
            yield Way(home, self._name(path), (home,), partial(mode, path, 0o777))
            yield Way(target, self._name(path), (target,), partial(self._inside, account))
            for link in ("session-env", "file-history", "projects"):
                entry = self.vm.entry(account, link)
                name, shared = self._name(entry), "link_is_shared"
                yield Way(shared, name, (shared,), partial(turned, entry, self.other))
                yield Way(shared, name, (shared,), partial(missing, entry))
        for link in ("session-env", "file-history", "projects"):
            path = self.vm.target(link)
            for one in (target, "link_is_shared", "no_home_is_left_out"):
                yield Way(one, self._name(path), (target,), partial(missing, path))
        for path in (self.worktree, self.docs):
            exists = "session_directory_exists"
            for one in (exists, "session_can_start_unattended", "session_folder_is_writable"):
                yield Way(one, self._name(path), (exists,), partial(missing, path))
        for name, one in (("claude", "command_is_found"), ("tmux", "backend_is_there")):
            path, one = self.programs / name, f"session_{one}"
            yield Way(one, self._name(path), (one,), partial(missing, path))

    def _documents(self) -> Iterator[Way]:
        kept, own = ("home_keeps_transcripts", "project_keeps_transcripts"), "login_is_its_own"
        ready, isolated = "session_can_start_unattended", "login_is_isolated"
        for account in self.vm.accounts:
            home = self.vm.home(account)
            other = next(one for one in self.vm.accounts if one != account)
            legacy, state, settings = (
                home / name for name in (".config.json", ".claude.json", "settings.json")
            )
            for path in (legacy, state):
                same, new = self.state(other), self.state(account, hasCompletedOnboarding=False)
                name = self._name(path)
                yield Way(own, name, (own,), partial(held, path, same))
                yield Way(ready, name, (ready,), partial(held, path, new))
                new = self.state(account, projects={})
                yield Way(ready, name, (ready,), partial(held, path, new))
                yield Way(ready, name, (ready, own), partial(written, path, "no JSON"))
            credentials = home / ".credentials.json"
            same = self.login(other)
            yield Way(own, self._name(credentials), (own,), partial(held, credentials, same))
            for path in (credentials, state):
                name = self._name(path)
                yield Way(isolated, name, (isolated,), partial(mode, path, 0o666))
                yield Way(isolated, name, (isolated,), partial(linked, path, self.root / "second"))
            name = self._name(settings)
            for days, which in ((5, kept[:1]), (200, kept[1:])):
                new = self.settings(cleanupPeriodDays=days)
                yield Way(which[0], name, which, partial(held, settings, new))
            new = self.settings(permissions={"deny": ["Bash(ls)"]})
            equal = "settings_are_equal"
            yield Way(equal, name, (equal,), partial(held, settings, new))
            new = self.settings(permissions={"defaultMode": "bypassPermissions"})
            yield Way(ready, name, (ready,), partial(held, settings, new))
        logged, path = "session_is_logged_in", self.vm.home("primary") / ".credentials.json"
        yield Way(logged, self._name(path), (logged,), partial(moved_away, path))
        for directory in (self.worktree, self.docs):
            for file in ("settings.json", "settings.local.json"):
                path = directory / ".claude" / file
                yield Way(kept[1], self._name(path), kept[1:], partial(self._short, path))

    def _trust(self) -> Iterator[Way]:
        ready = "session_can_start_unattended"
        for directory in (self.docs, self.docs.parent, self.root):
            path = directory / ".git"
            yield Way(ready, self._name(path), (ready,), partial(made, path))
        dot_git = self.worktree / ".git"
        for path in (dot_git, self.inside / "commondir", self.inside / "gitdir"):
            yield Way(ready, self._name(path), (ready,), partial(written, path, "elsewhere"))
        git = self.inside / "../.."
        yield Way(ready, self._name(git), (ready,), partial(moved_away, self.inside.parent.parent))

    def _kept(self) -> Iterator[Way]:
        written_, folder = "session_folder_is_writable", folder_of(str(self.docs))
        path = self.vm.target("projects") / str(folder)
        yield Way(written_, self._name(path), (written_,), partial(held, path, "no directory"))
        for name, directory in (("api", self.worktree), ("docs", self.docs)):
            record = Path(record_path(str(self.vm.state), RECORDS, name))
            record.parent.mkdir(parents=True, exist_ok=True)
            new = {"schema": 1, "conversation": self.unkept, "directory": str(directory)}
            yield Way(written_, self._name(record), (written_,), partial(held, record, new))

    def _writers(self) -> Iterator[Way]:
        one = "conversation_has_one_writer"
        yield Way(one, "processes", (one,), self._second)
        yield Way(one, "processes", (one,), self._later)
        for account in self.vm.accounts:
            home = self.vm.home(account)
            projects = self._name(home / "projects")
            seen = ("link_is_shared", one)
            yield Way(one, projects, seen, partial(moved_away, home / "projects"))
            yield Way(one, self._name(home / "sessions"), (one,), partial(self._noted, account))
            roster = self._name(home / "daemon" / "roster.json")
            yield Way(one, roster, (one,), partial(self._worker, account))

    def _strays(self) -> Iterator[Way]:
        stray, new, user = "no_home_is_left_out", self.root / "new", self.vm.user_home / ".claude-2"
        for path in (new, user):
            yield Way(stray, self._name(path.parent), (stray,), partial(home_of_another, path))
        for account in self.vm.accounts:
            path = self.vm.home(account)
            yield Way(stray, self._name(path), ("home_is_usable",), partial(moved_away, path))
        name = self._name(self.other / "projects")
        yield Way(stray, name, (stray,), partial(made, self.other / "projects" / "-src"))
        for mark in MARKS:
            path = self.markless / mark
            yield Way(stray, self._name(path), (stray,), partial(made, path))
        name = self._name(self.markless / "projects")
        yield Way(stray, name, (stray,), partial(replaced, self.markless, self.other))
        for directory in self._beside():
            path = directory / "projects"
            yield Way(stray, self._name(path), (stray,), partial(filled, directory))

    def _beside(self) -> list[Path]:
        """Return the directories beside the homes that have no `projects`."""
        beside = [self.vm.user_home, self.vm.state, self.programs, self.docs.parent]
        return [*beside, self.root / "repository"]

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.root))

    @contextmanager
    def _inside(self, account: str) -> Iterator[None]:
        """Let a home be a directory in a target, with all that it holds."""
        home, inside = self.vm.home(account), self.vm.target("file-history") / "home"
        home.rename(inside)
        home.symlink_to(inside)
        yield
        home.unlink()
        inside.rename(home)

    @contextmanager
    def _short(self, path: Path) -> Iterator[None]:
        """Let a project's settings say too little; those that win over them say nothing."""
        local = path.with_name("settings.local.json")
        with ExitStack() as stack:
            if path != local:
                stack.enter_context(held(local, {}))
            stack.enter_context(held(path, {"cleanupPeriodDays": 5}))
            yield

    @contextmanager
    def _second(self) -> Iterator[None]:
        pid = self.start("--resume", CONVERSATION)
        yield
        self.end(pid)

    @contextmanager
    def _later(self) -> Iterator[None]:
        """Let a process execute the client that has run under another name for a while."""
        process = self._shell
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        wait_until(lambda: self._is_claude(process.pid), "it has executed the client")
        yield
        self.end(process.pid)

    @contextmanager
    def _noted(self, account: str) -> Iterator[None]:
        """Let a second process note that it has the conversation; nothing else tells of it."""
        pid = self.start()
        path = self.note(account, pid)
        yield
        path.unlink()
        self.end(pid)

    @contextmanager
    def _worker(self, account: str) -> Iterator[None]:
        pid = self.start()
        worker = {
            "sessionId": CONVERSATION,
            "replPid": pid,
            "replProcStart": running()[pid].start,
        }
        roster = self.vm.home(account) / "daemon" / "roster.json"
        with held(roster, {"workers": {"job": worker}}):
            yield
        self.end(pid)


def write(path: Path, document: object) -> None:
    """Put a file in place by rename, as Claude Code does."""
    beside = path.with_name(f"{path.name}.tmp")
    beside.write_text(document if isinstance(document, str) else json.dumps(document))
    beside.chmod(0o600)
    beside.rename(path)


@contextmanager
def written(path: Path, text: str) -> Iterator[None]:
    with held(path, text):
        yield


@contextmanager
def held(path: Path, document: object) -> Iterator[None]:
    """Let a file hold something else."""
    before = path.read_text() if path.exists() else None
    write(path, document)
    yield
    if before is None:
        path.unlink()
    else:
        write(path, before)


@contextmanager
def moved_away(path: Path) -> Iterator[None]:
    away = path.with_name(f"{path.name}.away")
    path.rename(away)
    yield
    away.rename(path)


@contextmanager
def turned(link: Path, to: Path) -> Iterator[None]:
    text = os.readlink(link)
    beside = link.with_name("beside")
    beside.symlink_to(to)
    beside.rename(link)
    yield
    beside.symlink_to(text)
    beside.rename(link)


@contextmanager
def mode(path: Path, bits: int) -> Iterator[None]:
    before = path.stat().st_mode & 0o7777
    path.chmod(bits)
    yield
    path.chmod(before)


@contextmanager
def linked(path: Path, second: Path) -> Iterator[None]:
    """Give a file a second name, of which its own directory hears nothing."""
    second.hardlink_to(path)
    yield
    second.unlink()


@contextmanager
def made(path: Path) -> Iterator[None]:
    path.mkdir()
    yield
    path.rmdir()


@contextmanager
def replaced(directory: Path, by: Path) -> Iterator[None]:
    """Give one directory the marks of another, and none of what makes that a home."""
    marks = [directory / name.name for name in by.iterdir() if name.is_file()]
    for mark in marks:
        mark.touch()
    yield
    for mark in marks:
        mark.unlink()


@contextmanager
def home_of_another(path: Path) -> Iterator[None]:
    (path / "projects" / "-src").mkdir(parents=True)
    (path / "settings.json").touch()
    yield
    shutil.rmtree(path)


@contextmanager
def filled(directory: Path) -> Iterator[None]:
    """Make a home of a directory that is there already."""
    projects, mark = directory / "projects", directory / "todos"
    mark.touch()
    (projects / "-src").mkdir(parents=True)
    yield
    shutil.rmtree(projects)
    mark.unlink()
