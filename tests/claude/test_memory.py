"""Memory behind a linked ``projects``: when the CLI asks, and what ends that."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.claude.cli import Cli
from tests.claude.known import Known
from tests.claude.stub import ToolUse
from tests.claude.test_readiness import manage


class Writing:
    """Writes below the memory of a home, each to a file of its own."""

    def __init__(self, claude: Cli) -> None:
        self.claude = claude
        self.primary, self.backup = (claude.vm.home(one) for one in ("primary", "backup"))
        self.target = claude.vm.target("projects")
        self._count = 0

    def asks(
        self,
        *allow: Path,
        account: str = "primary",
        home: Path | None = None,
        mode: str = "default",
        reading: bool = False,
    ) -> bool:
        """Return whether ``-p`` under *account* asks before it uses a file in the memory of *home*.

        It has the rules for the directories *allow*.
        """
        self._count += 1
        name = f"note{self._count}.md"
        path = (home or self.primary) / "projects" / self.claude.folder / "memory" / name
        use = ToolUse("Write", {"file_path": str(path), "content": "The pond is deep.\n"})
        if reading:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("The pond is deep.\n")
            use = ToolUse("Read", {"file_path": str(path)})
        option = ["--settings", settings(*map(rule, allow))] if allow else []
        self.claude.stub.script(use, "done")
        words = ("hello", "--permission-mode", mode, *option)
        done = self.claude.run(account, *words, allowed=())
        assert (0, "done\n") == (done.returncode, done.stdout), done.stderr
        (result,) = self.claude.stub.turns[-1].tool_results
        asks = "requested permissions" in str(result["content"])
        went_through = "The pond" in str(result["content"]) if reading else path.exists()
        assert asks != went_through, result
        return asks


def rule(directory: Path) -> str:
    """Return the rule for the memories in *directory*, a ``projects``."""
    return f"Edit(/{directory}/*/memory/**)"


def settings(*allow: str, **more: Sequence[str]) -> str:
    """Return settings with these rules as JSON text."""
    permissions: dict[str, Any] = {"allow": list(allow), **more}
    return json.dumps({"permissions": permissions})


def test_both_rules_end_the_question(claude: Cli, known: Known) -> None:
    w = Writing(claude)
    own, other = w.primary / "projects", w.backup / "projects"
    known.hold("`projects` is a symlink", w.asks())
    known.hold("the same, reading", w.asks(reading=True))
    known.hold("a rule for the target", w.asks(w.target))
    known.hold("a rule for the home", w.asks(own))
    known.hold("both", w.asks(w.target, own))
    known.hold("both, reading", w.asks(w.target, own, reading=True))
    fact = "both, and the path is in the other home"
    known.hold(fact, w.asks(w.target, other, account="backup"))
    fact = "the same with rules for every home"
    known.hold(fact, w.asks(w.target, own, other, account="backup"))
    fact = "no rule, `--permission-mode bypassPermissions`"
    known.hold(fact, w.asks(mode="bypassPermissions"))


def test_real_directory_needs_no_rule(claude: Cli, known: Known) -> None:
    entry = claude.vm.entry("primary", "projects")
    entry.unlink()
    entry.mkdir()
    fact = "`projects` is a real directory"
    known.hold(fact, Writing(claude).asks())


def test_target_is_matched_by_its_real_path(claude: Cli, known: Known) -> None:
    w = Writing(claude)
    real = claude.vm.root / "real"
    claude.vm.shared.rename(real)
    claude.vm.shared.symlink_to(real)
    own = w.primary / "projects"
    fact = "both, a directory above the target is a symlink, and the rule has its text"
    known.hold(fact, w.asks(w.target, own))
    known.hold("both, the same, and the rule has the real path", w.asks(real / "projects", own))


def test_other_settings_have_their_say(claude: Cli, known: Known) -> None:
    w = Writing(claude)
    own = w.primary / "projects"
    home = w.primary / "settings.json"
    home.write_text(settings(ask=[rule(own)]))
    fact = "both, and `permissions.ask` in the home has one of them"
    known.hold(fact, w.asks(w.target, own))
    home.write_text(settings(f"Edit(/{w.target}/**)", f"Edit(/{w.primary}/**)"))
    known.hold(
        "`Edit(//DIRECTORY/**)` for a directory around each of the two, in the home", w.asks()
    )
    home.unlink()
    manage(claude, base={"allowManagedPermissionRulesOnly": True})
    fact = "both, and `allowManagedPermissionRulesOnly` in the managed settings"
    known.hold(fact, w.asks(w.target, own))
