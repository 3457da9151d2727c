"""What ``--settings`` does to permissions, hooks and status line of all other settings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from tests.claude.cli import Cli
from tests.claude.known import Known
from tests.claude.stub import ToolUse
from tests.claude.test_readiness import manage

OTHERS = ("home", "project", "local", "managed")
OF_TWO = ("the first", "the last")


class Tried:
    """Settings in several places, each of which leaves a trace of its own."""

    def __init__(self, claude: Cli) -> None:
        self.claude = claude
        self.seen = claude.directory / "seen"
        self.seen.mkdir()

    def settings(self, name: str) -> dict[str, Any]:
        """Return settings that allow a command, have a hook and a status line, named *name*."""
        hook = {"type": "command", "command": self._touch("hook", name)}
        line = f"{self._touch('line', name)}; echo 'line of {name}'"
        return {
            "permissions": {"allow": [f"Bash({self._touch('may', name)})"]},
            "hooks": {"UserPromptSubmit": [{"hooks": [hook]}]},
            "statusLine": {"type": "command", "command": line},
        }

    def place(self, *names: str) -> None:
        """Write settings to the places of these *names*."""
        project = self.claude.directory / ".claude"
        project.mkdir(exist_ok=True)
        paths = {
            "home": self.claude.vm.home("primary") / "settings.json",
            "project": project / "settings.json",
            "local": project / "settings.local.json",
        }
        for name in names:
            if name == "managed":
                manage(self.claude, base=self.settings(name))
            else:
                paths[name].write_text(json.dumps(self.settings(name)))

    def option(self, name: str, *, as_file: bool) -> list[str]:
        """Return ``--settings`` with settings named *name*, as a file's path or as JSON text."""
        text = json.dumps(self.settings(name))
        if not as_file:
            return ["--settings", text]
        path = self.claude.vm.root / f"{name.replace(' ', '-')}.json"
        path.write_text(text)
        return ["--settings", str(path)]

    def what_counts(self, names: Sequence[str], *options: str) -> dict[str, str]:
        """Return whose permissions and hooks count in ``-p``, of all *names*."""
        uses = [ToolUse("Bash", {"command": self._touch("may", one)}) for one in names]
        self.claude.stub.script(*uses, "done")
        options = ("--permission-mode", "default", *options)
        done = self.claude.run("primary", "hello", *options, allowed=())
        assert (0, "done\n") == (done.returncode, done.stdout), done.stderr
        return {what: self._of(what, names) for what in ("may", "hook")}

    def line(self, names: Sequence[str], *options: str) -> str:
        """Return whose status line a terminal shows, of *names*."""
        terminal = self.claude.open("primary", *options)
        terminal.wait_for("line of ")
        assert [] == [one for one in self.traces("line") if one not in names]
        return next(one for one in names if f"line of {one}" in terminal.screen)

    def traces(self, what: str) -> list[str]:
        """Return the names whose *what* left a trace."""
        found = [path.name.partition("-") for path in self.seen.iterdir()]
        return [name.replace("_", " ") for kind, _, name in found if kind == what]

    def _of(self, what: str, names: Sequence[str]) -> str:
        found = self.traces(what)
        return "all" if set(names) == set(found) else ", ".join(sorted(found))

    def _touch(self, what: str, name: str) -> str:
        return f"touch {self.seen}/{what}-{name.replace(' ', '_')}"


@pytest.fixture
def tried(claude: Cli) -> Tried:
    """Return settings that leave traces."""
    return Tried(claude)


@pytest.mark.parametrize("as_file", [(True, True), (False, False), (True, False)])
def test_of_two_only_one_counts(tried: Tried, known: Known, as_file: Sequence[bool]) -> None:
    options = [
        word
        for name, is_file in zip(OF_TWO, as_file, strict=True)
        for word in tried.option(name, as_file=is_file)
    ]
    counts = tried.what_counts(OF_TWO, *options)
    known.hold("two `--settings`: whose `permissions` count", counts["may"])
    known.hold("two `--settings`: whose `hooks` run", counts["hook"])
    known.hold("two `--settings`: whose `statusLine` is shown", tried.line(OF_TWO, *options))


@pytest.mark.parametrize("as_file", [True, False], ids=["file", "text"])
def test_one_adds_to_all_other_settings(tried: Tried, known: Known, as_file: bool) -> None:
    tried.place("home", "project", "local")
    option, names = tried.option("the option", as_file=as_file), (*OTHERS, "the option")
    fact = "the same without managed: whose `statusLine` is shown"
    known.hold(fact, tried.line(names, *option))
    tried.place("managed")
    counts = tried.what_counts(names, *option)
    fact = "one beside home, project, local, managed: whose `permissions.allow` count"
    known.hold(fact, counts["may"])
    known.hold("the same: whose `hooks` run", counts["hook"])
    known.hold("the same: whose `statusLine` is shown", tried.line(names, *option))


def test_permissions_alone_leave_hooks_and_line_as_they_are(tried: Tried, known: Known) -> None:
    names = ("home", "project", "local")
    tried.place(*names)
    alone = {"permissions": tried.settings("ours")["permissions"]}
    option = ["--settings", json.dumps(alone)]
    assert "all" == tried.what_counts(names, *option)["hook"]
    known.hold("one without a `statusLine`: whose is shown", tried.line(names, *option))
    left = len(list(tried.claude.scratch.rglob("claude-settings-*")))  # after two starts
    fact = "files that JSON as its value leaves in the temporary directory"
    known.hold(fact, {0: "none", 1: "one", 2: "one for each start"}[left])
