"""``launcher explain``: every word that a report can hold is explained, without an inventory."""

from __future__ import annotations

import ast
import json
import re
from importlib import import_module
from pathlib import Path
from typing import TypeGuard

import pytest

from invariants.checks import FAMILIES
from invariants.links import LinkState
from launcher import explain
from launcher.cli import main, parser
from launcher.errors import EXIT_CODES, ExitCode
from launcher.explain import topics
from launcher.sessions import SessionState
from launcher.verdict import Colour
from tests.vm import CHECKOUT

PLACEHOLDERS = {"same-", "inside-", "around-"}


def literals(node: ast.AST) -> set[str]:
    """Return the texts that an expression can be, as far as its own literals tell."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {node.value}
    if isinstance(node, ast.JoinedStr):  # f"same-{other.kind}"
        return {str(part.value) for part in node.values if isinstance(part, ast.Constant)}
    if isinstance(node, ast.IfExp):
        return literals(node.body) | literals(node.orelse)
    return set()


_PLACES = {"_fault": 3, "_finding": 1, "_Fault": 2, "Clash": 1}
"""Among how many first arguments of such a call the state is."""
_STATE = re.compile("[a-z]+(-[a-z]*)*")


def constants(module: Path, node: ast.AST) -> set[str]:
    """Return the text that a name of *module*'s stands for, if it is a constant."""
    if not isinstance(node, ast.Name) or not node.id.isupper():
        return set()
    return {getattr(import_module(f"invariants.{module.stem}"), node.id)}


def _is_found(node: ast.AST) -> TypeGuard[ast.Return | ast.Assign]:
    """Tell whether *node* has a state, what was found, and maybe the fix, in one tuple."""
    if isinstance(node, ast.Return):
        return isinstance(node.value, ast.Tuple) and len(node.value.elts) == 3
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return isinstance(node.value, ast.Tuple) and node.targets[0].id == "found"
    return False


def states_of(module: Path) -> set[str]:
    """Return the states that a module of the invariants gives to what it finds."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if _is_found(node):
            assert isinstance(node.value, ast.Tuple)
            words = literals(node.value.elts[0])
            found |= {word for word in words if _STATE.fullmatch(word)}
        elif isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            if name == "Finding":
                for keyword in node.keywords:
                    found |= literals(keyword.value) if keyword.arg == "state" else set()
            elif name in _PLACES:
                for argument in node.args[: _PLACES[name]]:
                    words = literals(argument) | constants(module, argument)
                    found |= {word for word in words if _STATE.fullmatch(word)} - {"nothing"}
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
            first = node.targets[0].elts[0]
            if isinstance(first, ast.Name) and first.id == "state":
                found |= (
                    literals(node.value.elts[0]) if isinstance(node.value, ast.Tuple) else set()
                )
    return found


def names(kind: str) -> set[str]:
    return {topic.name for topic in topics() if kind in topic.kind}


def test_every_state_that_a_finding_can_have_is_explained() -> None:
    used: set[str] = set()
    for module in sorted((CHECKOUT / "invariants").glob("*.py")):
        used |= states_of(module)
    assert {"missing", "not-yours", "symlink", "same-", "no-access"} <= used
    known = names("state of")
    assert set() == {
        state
        for state in used
        if state not in known
        and not (state in PLACEHOLDERS and any(name.startswith(state) for name in known))
    }


def test_the_words_of_the_contract_are_explained() -> None:
    assert set(LinkState) == names("state of a link")
    assert set(Colour) == names("verdict")
    assert set(SessionState) == {t.name for t in topics() if t.kind == "session"}
    assert {str(code.value) for code in ExitCode} == names("exit code")
    assert set(ExitCode) == set(EXIT_CODES)
    assert set(FAMILIES) == names("invariant")


def test_every_topic_says_what_why_and_what_to_do() -> None:
    for topic in topics():
        for text in (topic.means, topic.matters, topic.do):
            assert text.strip() == text != ""
        assert topic.means[0].isupper()
        assert topic.means.endswith(".")
        assert topic.matters.endswith(".")
    assert len({(topic.kind, topic.name) for topic in topics()}) == len(topics())


def test_help_ends_with_the_same_exit_codes() -> None:
    for code, meaning in EXIT_CODES.items():
        assert f"{code.value:2}  {meaning}\n" in parser().format_help()


def test_a_state_is_explained_for_each_thing_that_can_have_it(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # no inventory anywhere
    assert 0 == main(["explain", "missing"])
    out = capfd.readouterr().out
    for kind in ("a link", "a home", "a target", "what a session needs"):
        assert f"missing (state of {kind})\n  means    " in out
    assert "launcher ensure" in out
    assert all(len(line) <= 80 for line in out.splitlines())


@pytest.mark.parametrize("word", ["link_is_shared", "test_link_is_shared"])
def test_an_invariant_is_explained_by_its_own_docstring(
    capfd: pytest.CaptureFixture[str], word: str
) -> None:
    assert 0 == main(["explain", word, "--json"])
    (topic,) = json.loads(capfd.readouterr().out)
    assert (
        "Every home reaches the one shared directory, or a conversation is lost at a failover."
        == (topic["means"])
    )
    assert ("link_is_shared", "invariant") == (topic["name"], topic["kind"])


def test_without_a_word_all_are_listed(capfd: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["explain"])
    out = capfd.readouterr().out
    assert "invariant\n  home_is_usable, login_is_its_own, " in out
    assert "exit code\n  0, 1, 2, 69, 70, 75, 78\n" in out


def test_an_unknown_word_is_answered_with_its_neighbours(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert 2 == main(["explain", "divergnt"])
    assert "nothing is known of 'divergnt'; did you mean divergent, " in capfd.readouterr().err
    assert 2 == main(["explain", "zzz"])
    assert "launcher explain lists them all" in capfd.readouterr().err


def test_parts_of_a_docstring_are_told_where_they_belong(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "test_links.py").write_text(
        '''def test_link_is_shared():
    """It is
    shared.

    Why: what stands there
    decides.
    Source: measured.
    To do: what the fix says.
    """
'''
    )
    monkeypatch.setattr(explain, "FAMILIES", {"link_is_shared": FAMILIES["link_is_shared"]})
    monkeypatch.setattr(explain, "directory", lambda: str(tmp_path))
    topic = explain.topics()[0]
    assert ("It is shared.", "What stands there decides.", "What the fix says.") == (
        topic.means,
        topic.matters,
        topic.do,
    )


def test_page_shows_what_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    page = (CHECKOUT / "docs" / "first-steps.md").read_text()
    shown = page.partition("$ launcher explain chained\n")[2].partition("```")[0]
    assert 0 == main(["explain", "chained"])
    assert capfd.readouterr().out == shown


def warned_of(module: Path) -> set[str]:
    """Return the invariants that a module warns of, by their texts or by its constants."""
    tree = ast.parse(module.read_text())
    constants = {
        node.targets[0].id: literals(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Warned":
            named = [one.value for one in node.keywords if one.arg == "invariant"]
            for one in [*node.args[:1], *named]:
                found |= constants[one.id] if isinstance(one, ast.Name) else literals(one)
    return found


def test_every_warning_is_explained() -> None:
    modules = [*(CHECKOUT / "launcher").rglob("*.py"), *(CHECKOUT / "invariants").rglob("*.py")]
    warned = set().union(*map(warned_of, modules))
    assert {"session_is_in_inventory", "sessions_are_looked_at"} <= warned
    known = {topic.name for topic in topics() if topic.kind in ("warning", explain.INVARIANT)}
    assert set() == warned - known
    assert set() == {topic.name for topic in topics() if topic.kind == "warning"} & set(FAMILIES)
