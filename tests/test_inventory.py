"""Which inventory is taken: by the option, the variable, the user's directory, the system's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from invariants.inventory import (
    VARIABLE,
    InventoryError,
    default_places,
    inventory_option,
    load,
    locate,
)
from tests.vm import CHECKOUT, UNPRIVILEGED

SYSTEM = "/etc/claude-failover/failover.toml"


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the place of the user's inventory, under a HOME of the test's own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    place = tmp_path / ".config" / "claude-failover" / "failover.toml"
    place.parent.mkdir(parents=True, mode=0o700)
    return place


@pytest.fixture
def system(user: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a place that stands in for the one in /etc, which belongs to the machine."""
    place = tmp_path / "etc" / "failover.toml"
    place.parent.mkdir()
    real = default_places({})
    assert [str(user), SYSTEM] == real
    monkeypatch.setattr("invariants.inventory.default_places", lambda _: [str(user), str(place)])
    return place


@pytest.mark.parametrize(
    ("option", "variable", "expected"),
    [
        ("/o.toml", "/v.toml", "/o.toml"),
        (None, "/v.toml", "/v.toml"),
        ("", "/v.toml", "/v.toml"),
        ("/o.toml", None, "/o.toml"),
    ],
)
def test_option_goes_before_the_variable_before_the_users_file(
    user: Path, option: str | None, variable: str | None, expected: str
) -> None:
    user.touch()

    assert expected == locate(option, {} if variable is None else {VARIABLE: variable})


@pytest.mark.parametrize("environ", [{}, {VARIABLE: ""}])
def test_users_file_goes_before_the_systems(
    user: Path, system: Path, environ: dict[str, str]
) -> None:
    user.touch()
    system.touch()

    assert str(user) == locate(None, environ)


def test_systems_file_is_taken_where_the_user_has_none(user: Path, system: Path) -> None:
    system.touch()

    assert str(system) == locate(None, {})


def test_systems_file_is_taken_where_the_users_directory_is_a_file(
    user: Path, system: Path
) -> None:
    user.parent.rmdir()
    user.parent.touch()
    system.touch()

    assert str(system) == locate(None, {})


def test_named_file_is_taken_whether_or_not_it_exists(user: Path) -> None:
    """A typing error must not end in another inventory."""
    user.touch()
    named = str(user.with_name("f.toml"))

    assert named == locate(named, {})


@pytest.mark.parametrize("by", ["option", "variable"])
@pytest.mark.parametrize(("named", "expected"), [("~/f.toml", "f.toml"), ("a/../f.toml", "f.toml")])
def test_named_path_is_made_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str, named: str, expected: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    option, environ = (named, {}) if by == "option" else (None, {VARIABLE: named})

    assert str(tmp_path / expected) == locate(option, environ)


def test_xdg_config_home_goes_before_dot_config(user: Path) -> None:
    assert ["/xdg/claude-failover/failover.toml", SYSTEM] == default_places(
        {"XDG_CONFIG_HOME": "/xdg"}
    )


@pytest.mark.parametrize("config", ["", "relative", "./x", "~/x"])
def test_relative_xdg_config_home_is_ignored(user: Path, config: str) -> None:
    assert [str(user), SYSTEM] == default_places({"XDG_CONFIG_HOME": config})


@pytest.mark.parametrize("home", ["relative", "~"])
def test_nothing_is_looked_for_below_a_relative_home(
    monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    """It would be looked for in the working directory, where anybody may have put it."""
    monkeypatch.setenv("HOME", home)

    assert [SYSTEM] == default_places({})


def test_nothing_is_looked_for_in_the_working_directory(
    system: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cwd" / "claude-failover").mkdir(parents=True)
    for place in ("failover.toml", "claude-failover/failover.toml"):
        (tmp_path / "cwd" / place).touch()
    monkeypatch.chdir(tmp_path / "cwd")

    with pytest.raises(InventoryError):
        locate(None, {})


def test_none_found_says_where_it_looked_and_how_to_name_one(user: Path, system: Path) -> None:
    with pytest.raises(InventoryError) as caught:
        locate(None, {})

    assert (str(user), str(system)) == caught.value.paths
    assert (
        f"no inventory: looked for {user}, {system}; write one there, "
        "or name one with --inventory PATH or $CLAUDE_FAILOVER_INVENTORY",
    ) == caught.value.problems
    assert caught.value.report is None


def test_place_that_cannot_be_looked_at_is_an_error_and_not_passed_over(
    user: Path, system: Path
) -> None:
    user.parent.rmdir()
    user.parent.symlink_to(user.parent)
    system.touch()

    with pytest.raises(InventoryError) as caught:
        locate(None, {})

    assert (str(user),) == caught.value.paths
    assert ("cannot be looked at: Too many levels of symbolic links",) == caught.value.problems


def test_dangling_symlink_is_an_error_and_not_passed_over(user: Path, system: Path) -> None:
    user.symlink_to("nowhere")
    system.touch()

    assert str(user) == locate(None, {})
    with pytest.raises(InventoryError, match="does not exist"):
        load(str(user))


@pytest.mark.parametrize(
    ("spoilt", "refusal"),
    [
        ("failover.toml", "cannot be read: Permission denied"),
        (".", "cannot be looked at: Permission denied"),
    ],
)
def test_place_without_permission_is_an_error_and_not_passed_over(
    user: Path, spoilt: str, refusal: str
) -> None:
    """In a process of its own, which has no capability to read everything."""
    user.touch()
    (user.parent / spoilt).chmod(0)
    code = (
        "import os\n"
        "from invariants.inventory import InventoryError, load, locate\n"
        "try:\n"
        "    load(locate(None, os.environ))\n"
        "except InventoryError as error:\n"
        "    print(*error.paths, *error.problems, sep='|')\n"
    )
    child = subprocess.run(
        [*UNPRIVILEGED, sys.executable, "-c", code],
        env={"HOME": os.environ["HOME"], "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=True,
    )
    user.parent.chmod(0o700)

    assert f"{user}|{refusal}\n" == child.stdout


def test_option_to_paste_is_empty_where_the_file_is_found_without(user: Path) -> None:
    user.touch()

    assert "" == inventory_option(str(user), {})
    assert "" == inventory_option("/v.toml", {VARIABLE: "/v.toml"})


def test_option_to_paste_is_quoted(user: Path, system: Path) -> None:
    assert " --inventory '/a b/f.toml'" == inventory_option("/a b/f.toml", {})
    user.touch()
    assert " --inventory /f.toml" == inventory_option("/f.toml", {})
