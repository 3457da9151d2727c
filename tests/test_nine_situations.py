"""The nine situations of the project that this one grew out of, each a test of that name."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from invariants.inventory import load
from launcher.gate import validate_all
from launcher.provision import EntriesRefused, ensure_for_account
from launcher.verdict import Colour
from tests.vm import LINKS, Vm, snapshot


@pytest.fixture
def bare(make_vm: Callable[..., Vm]) -> Vm:
    """Return a freshly deployed VM: homes, and neither links nor targets."""
    return make_vm()


def ensure_primary(vm: Vm) -> list[str]:
    inventory = load(str(vm.inventory))
    actions = ensure_for_account(inventory.account("primary"), inventory.links)
    return [action.path for action in actions]


def test_links_are_created(bare: Vm) -> None:
    entries = [str(bare.entry("primary", link)) for link in LINKS]
    assert entries == [path for path in ensure_primary(bare) if path in entries]
    for link in LINKS:
        assert str(bare.target(link)) == str(bare.entry("primary", link).readlink())


def test_second_ensure_changes_nothing(bare: Vm) -> None:
    ensure_primary(bare)
    before = snapshot(bare.root)
    assert [] == ensure_primary(bare)
    assert before == snapshot(bare.root)


def test_divergent_link_is_refused_and_left_untouched(vm: Vm) -> None:
    vm.diverge("primary", "projects")
    before = snapshot(vm.root)
    with pytest.raises(EntriesRefused) as refusal:
        ensure_primary(vm)
    assert ["divergent"] == [finding.state for finding in refusal.value.findings]
    assert before == snapshot(vm.root)


@pytest.mark.parametrize("kind", ["file", "real-directory"])
def test_file_or_directory_in_the_way_is_refused_and_left_untouched(bare: Vm, kind: str) -> None:
    entry = bare.entry("primary", "projects")
    if kind == "file":
        entry.write_text("a note")
    else:
        entry.mkdir()
        (entry / "conversation.jsonl").write_text("{}")
    before = snapshot(bare.root)
    with pytest.raises(EntriesRefused) as refusal:
        ensure_primary(bare)
    assert [kind] == [finding.state for finding in refusal.value.findings]
    assert before == snapshot(bare.root)


def test_empty_home_gets_all_links(bare: Vm) -> None:
    assert [] == list(bare.home("primary").iterdir())
    ensure_primary(bare)
    assert sorted(LINKS) == sorted(path.name for path in bare.home("primary").iterdir())


def test_target_directories_are_created_for_the_user_alone(bare: Vm) -> None:
    ensure_primary(bare)
    for link in LINKS:
        assert 0o40700 == bare.target(link).stat().st_mode


def test_errors_of_all_accounts_come_together(vm: Vm) -> None:
    vm.entry("primary", "projects").unlink()
    vm.diverge("backup", "session-env")
    vm.entry("backup", "file-history").unlink()
    vm.entry("backup", "file-history").write_text("x")
    failures = validate_all(load(str(vm.inventory))).verdict.failures
    assert [
        ("primary", "projects", "missing"),
        ("backup", "session-env", "divergent"),
        ("backup", "file-history", "file"),
    ] == [(one.finding.account, one.finding.link, one.finding.state) for one in failures]


def test_correct_homes_validate(vm: Vm) -> None:
    assert Colour.GREEN is validate_all(load(str(vm.inventory))).verdict.colour


def test_missing_link_refuses_the_start(vm: Vm) -> None:
    started = vm.root / "started"
    vm.write({"api": ["/bin/sh", "-c", f"touch {started}; exec sleep 600"]})
    vm.entry("backup", "projects").unlink()
    assert 1 == vm.run("up").returncode
    assert not started.exists()
    vm.entry("backup", "projects").symlink_to(vm.target("projects"))
    assert 0 == vm.run("up").returncode
    assert started.exists()
