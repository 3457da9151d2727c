"""What a broken link costs: Claude Code alone, and behind the gate. See docs/broken-links.md."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from tests.claude.broken import BREAK
from tests.claude.cli import Cli, turns_of
from tests.claude.facts import COST
from tests.claude.known import Known
from tests.claude.stub import Answer, ToolUse
from tests.vm import LINKS, UNPRIVILEGED, Vm, snapshot

ECHO = ToolUse("Bash", {"command": "echo variable=$OF_THE_SESSION", "description": "look"})
STORED = {"session-env": "{}/*hook*", "file-history": "{}/*@v*", "projects": "*/{}.jsonl"}


@dataclass(frozen=True, slots=True)
class Case:
    """A link that is broken under ``primary``, and a session that needs it."""

    claude: Cli
    link: str
    session: str

    @property
    def file(self) -> Path:
        return self.claude.directory / "note.txt"

    @property
    def work(self) -> list[Answer]:
        """What the session does that is stored behind the link."""
        read = ToolUse("Read", {"file_path": str(self.file)})
        change = {"file_path": str(self.file), "old_string": "before", "new_string": "after"}
        of_link: dict[str, list[Answer]] = {
            "session-env": [ECHO],
            "file-history": [read, ToolUse("Edit", change)],
            "projects": [],
        }
        return [*of_link[self.link], "done"]

    def under_primary(self) -> str:
        """Let the session begin in the broken home; say how it ended."""
        self.claude.set_variable("primary", "OF_THE_SESSION", "kept")
        self.file.write_text("before\n")
        self.claude.stub.script(*self.work)
        options = ["the first prompt", "--session-id", self.session]
        done = self.claude.run("primary", *options, prefix=UNPRIVILEGED)
        results = [result for turn in self.claude.stub.turns for result in turn.tool_results]
        # One that crashes may or may not have told of a tool by then: with 2.0.76 it is a race.
        fails = done.returncode == 0 and any(result.get("is_error") for result in results)
        failed = ", tools fail" if fails else ""
        told = f"`{cause(done.stderr)}`" if done.stderr else "silent"
        return f"rc {done.returncode}, {told}{failed}"

    def where(self) -> str:
        """Say where the link's state is now."""
        vm, pattern = self.claude.vm, STORED[self.link].format(self.session)
        places = {"shared": vm.target(self.link), "elsewhere": vm.root / "elsewhere"}
        places["in that home only"] = vm.entry("primary", self.link)
        for name, place in places.items():
            if place.is_dir() and any(place.glob(pattern)):
                return f"state {name}"
        return "state **nowhere**"

    def under_backup(self) -> str:
        """Say whether the other account, whose links are right, has what it needs."""
        checks = {
            "session-env": self.has_variable,
            "file-history": self.can_undo,
            "projects": self.resumes,
        }
        fine = checks[self.link]()
        names = {"session-env": "variable", "file-history": "undo", "projects": "conversation"}
        return f"{names[self.link]} {'kept' if fine else '**lost**'}"

    def resumes(self, *script: Answer) -> bool:
        seen = len(self.claude.stub.turns)
        self.claude.stub.script(*script, "resumed")
        self.claude.run("backup", "the second prompt", "--resume", self.session)
        turns = self.claude.stub.turns[seen:]
        return bool(turns) and "the first prompt" in turns[-1].text

    def has_variable(self) -> bool:
        return self.resumes(ECHO) and "variable=kept" in str(
            self.claude.stub.turns[-1].tool_results
        )

    def can_undo(self) -> bool:
        (transcript,) = self.claude.transcripts(self.session)
        turns = turns_of(transcript)
        if not turns:  # it crashed too early
            return False
        prompt = turns[0]["uuid"]
        self.claude.run("backup", "--resume", self.session, "--rewind-files", prompt)
        return self.file.read_text() == "before\n"


def cause(standard_error: str) -> str:
    """Return what an error is about: its code where it is the system's, or else its first line."""
    code = re.search(r"Error: (E[A-Z]+):", standard_error)
    return code[1] if code else standard_error.partition("\n")[0].replace("|", "/")


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("state", BREAK)
def test_claude_code_alone(claude: Cli, known: Known, state: str, link: str) -> None:
    BREAK[state](claude.vm, claude.vm.entry("primary", link))
    case = Case(claude, link, str(uuid4()))
    ending = case.under_primary()
    where = case.where()
    known.hold_cost(link, state, f"{ending}; {where}; {case.under_backup()}")


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("state", BREAK)
def test_with_the_gate(vm: Vm, state: str, link: str) -> None:
    started = vm.root / "started"
    vm.write({"work": ["/bin/sh", "-c", f"touch {started}; exec sleep 600"]})
    BREAK[state](vm, vm.entry("primary", link))
    watched = [vm.home("primary"), vm.home("backup"), vm.shared]
    before = snapshot(*watched)
    run = ["run", "primary", "--", "touch", str(started)]
    for verb in (["check"], ["up"], run, ["switch", "work", "backup"]):
        assert 1 == vm.run(*verb, prefix=UNPRIVILEGED).returncode, verb
    assert not started.exists()
    assert before == snapshot(*watched)
    (failure,) = vm.report["failures"]
    assert link == failure["link"]
    assert COST[state][2] == failure["state"]
