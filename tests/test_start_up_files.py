"""What an interpreter runs when it starts has no say in what pytest is told, nor in a verdict.

Each row is a real virtual environment with a ``.pth`` file or a ``sitecustomize`` in it, which
every Python of that environment executes: the launcher, and its child if that let it happen.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher.child import find_installed
from tests.environment import EVIL_PYTEST, PASS_ALL, Environment
from tests.vm import Vm, wait_until

IN_THE_CHILD = "any('child.py' in one or 'zygote' in one for one in __import__('sys').orig_argv)"
"""Holds in the processes that run pytest: what is about them would end the launcher itself."""


def variable(name: str, value: str) -> str:
    return f"import os; os.environ[{name!r}] = {value!r}"


def in_the_child(statement: str) -> str:
    return f"import os, sys; exec({statement!r}) if {IN_THE_CHILD} else None"


ROWS = {
    # what pytest takes from the environment
    "addopts: collect only": variable("PYTEST_ADDOPTS", "--collect-only"),
    "addopts: setup plan": variable("PYTEST_ADDOPTS", "--setup-plan"),
    "addopts: nothing matches": variable("PYTEST_ADDOPTS", "-k nothing"),
    "addopts: deselect": variable("PYTEST_ADDOPTS", "--deselect invariants/test_links.py"),
    "addopts: help": variable("PYTEST_ADDOPTS", "--help"),
    "addopts: another file of options": variable("PYTEST_ADDOPTS", "-c EVIL/pytest.ini"),
    "addopts: another root": variable("PYTEST_ADDOPTS", "--rootdir=EVIL"),
    "addopts: nonsense": variable("PYTEST_ADDOPTS", "--no-such-option"),
    "plugins": variable("PYTEST_PLUGINS", "evil_plugin"),
    "plugins that are not there": variable("PYTEST_PLUGINS", "no_such_plugin"),
    "no autoload": variable("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1"),
    "theme": variable("PYTEST_THEME", "no-such-theme"),
    "debug": variable("PYTEST_DEBUG", "1"),
    "colours": variable("FORCE_COLOR", "1"),
    "continuous integration": variable("CI", "true"),
    "columns": variable("COLUMNS", "0"),
    "warnings by variable": variable("PYTHONWARNINGS", "error"),
    "coverage by variable": variable("COVERAGE_PROCESS_START", "/dev/null"),
    # what the interpreter is left with
    "another pytest in front": "import sys; sys.path.insert(0, 'EVIL/pytest-of-anothers')",
    "another pytest imported": in_the_child(
        "import types; sys.modules['pytest'] = types.SimpleNamespace(main=lambda *a, **k: 0)"
    ),
    "pytest's runner patched": in_the_child(
        "import _pytest.runner as r; r.check_interactive_exception = lambda *a: False;"
        "made = r.TestReport.from_item_and_call;"
        "r.TestReport.from_item_and_call = classmethod(lambda cls, item, call: "
        "vars(report := made(item, call)).update(outcome='passed', longrepr=None) or report)"
    ),
    "the look at links patched": in_the_child("os.readlink = lambda *a, **k: '/'"),
    "working directory": "import os; os.chdir('EVIL')",
    "bytecode of another's": "import sys; sys.pycache_prefix = 'EVIL/cache'",
    "warnings are errors": in_the_child("import warnings; warnings.simplefilter('error')"),
    "other arguments": in_the_child("sys.argv[:] = ['child.py', '--collect-only']"),
    "ends at once": in_the_child("os._exit(0)"),
    "ends at its exit": "import atexit, os; atexit.register(lambda: None)",
    "another home": in_the_child("os.environ['HOME'] = 'EVIL'"),
}
AS_SITECUSTOMIZE = ("addopts: collect only", "plugins", "another pytest in front", "ends at once")


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(tmp_path / "environment")


@pytest.fixture
def own(vm: Vm) -> Path:
    """Have the VM judged by an own invariant too, which does not hold."""
    directory = vm.root / "own"
    directory.mkdir(mode=0o700)
    file = directory / "test_mine.py"
    file.write_text("def test_mine(account):\n    assert account.name == 'primary'\n")
    file.chmod(0o600)
    vm.write({"api": ["sleep", "600"]}, invariants=[str(directory)])
    return directory


def failing(vm: Vm) -> list[tuple[str, str, str]]:
    return [(one["invariant"], one["account"], one["state"]) for one in vm.report["failures"]]


BROKEN = [("link_is_shared", "backup", "divergent"), ("mine", "backup", "broken")]


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.thorough
def test_code_that_runs_at_the_start_changes_no_verdict(
    vm: Vm, environment: Environment, own: Path, name: str
) -> None:
    vm.diverge()
    environment.at_start(ROWS[name])
    done = vm.run("check", python=[str(environment.python)])
    assert 1 == done.returncode, done.stderr
    assert BROKEN == failing(vm)
    assert (26, 24) == (vm.report["expected"], vm.report["passed"])


@pytest.mark.parametrize("name", AS_SITECUSTOMIZE)
@pytest.mark.thorough
def test_sitecustomize_changes_no_verdict(
    vm: Vm, environment: Environment, own: Path, name: str
) -> None:
    vm.diverge()
    environment.at_start(ROWS[name].replace("; ", "\n"), "sitecustomize.py")
    done = vm.run("check", python=[str(environment.python)])
    assert (1, BROKEN) == (done.returncode, failing(vm)), done.stderr


@pytest.fixture
def watching(vm: Vm, environment: Environment) -> Iterator[Callable[[], None]]:
    """Start a watch of that environment when called; end it with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        command = [str(environment.python), "-m", "launcher", "--inventory", str(vm.inventory)]
        started.append(subprocess.Popen([*command, "watch"], env=vm.environ, cwd=vm.root))

    yield start
    for process in started:
        process.terminate()
        process.wait(20)


@pytest.mark.parametrize("name", ["addopts: collect only", "pytest's runner patched"])
@pytest.mark.thorough
def test_the_watchs_warm_process_runs_none_of_it_either(
    vm: Vm, environment: Environment, own: Path, watching: Callable[[], None], name: str
) -> None:
    environment.at_start(ROWS[name])
    watching()
    one_broken = BROKEN[1:]
    wait_until(lambda: vm.report_path.exists() and failing(vm) == one_broken, "its first verdict")
    vm.diverge()
    wait_until(lambda: failing(vm) == BROKEN, "the link is seen to be broken")


def test_a_wrapper_of_the_interpreter_sets_no_variable_of_pytests(
    vm: Vm, environment: Environment, own: Path
) -> None:
    """It bears the interpreter's name, as wrappers of packagers do: the child is started by it."""
    vm.diverge()
    wrapper = environment.python.with_name("wrapped")
    wrapper.write_text(
        "#!/bin/bash\nexport PYTEST_ADDOPTS=--collect-only PYTEST_PLUGINS=evil_plugin\n"
        f'exec -a "$0" {environment.python} "$@"\n'
    )
    wrapper.chmod(0o755)
    seen = subprocess.run(
        [wrapper, "-c", "import sys; print(sys.executable)"], capture_output=True, text=True
    )
    assert str(wrapper) == seen.stdout.strip()
    assert 1 == vm.run("check", python=[str(wrapper)]).returncode
    assert BROKEN == failing(vm)


INI = "[pytest]\naddopts = --collect-only\npython_functions = none\n"
AROUND = {
    "pytest.ini": INI,
    ".pytest.ini": INI,
    "tox.ini": INI,
    "setup.cfg": INI.replace("[pytest]", "[tool:pytest]"),
    "pytest.toml": '[pytest]\naddopts = ["--collect-only"]\n',
    "pyproject.toml": '[tool.pytest.ini_options]\naddopts = "--collect-only"\n',
    "conftest.py": PASS_ALL,
    "pytest.py": EVIL_PYTEST,
    "sitecustomize.py": "import os; os.environ['PYTEST_ADDOPTS'] = '--collect-only'\n",
}


def test_files_around_own_invariants_have_no_say(
    vm: Vm, environment: Environment, own: Path
) -> None:
    """In the directory above, beside the inventory, and in theirs, where that is no Python."""
    vm.diverge()
    for name, text in AROUND.items():
        (vm.root / name).write_text(text)
        if not name.endswith(".py"):
            (own / name).write_text(text)
    done = vm.run("check", python=[str(environment.python)], environ={"PYTHONPATH": ""})
    assert (1, BROKEN) == (done.returncode, failing(vm)), done.stderr


def test_plugins_that_are_installed_have_no_say(
    vm: Vm, environment: Environment, own: Path
) -> None:
    vm.diverge()
    about = environment.site / "evil-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[pytest11]\nevil = evil_plugin\n")
    done = vm.run("check", python=[str(environment.python)])
    assert (1, BROKEN) == (done.returncode, failing(vm)), done.stderr


def test_without_any_of_it_all_is_green(vm: Vm, environment: Environment, own: Path) -> None:
    (own / "test_mine.py").write_text("def test_mine(account):\n    assert account.home\n")
    done = vm.run("check", python=[str(environment.python)])
    assert (0, 26) == (done.returncode, vm.report["passed"]), done.stderr


def test_own_invariants_import_what_is_installed_beside_the_launcher(
    vm: Vm, environment: Environment, own: Path
) -> None:
    """From the environment itself, and from where a line of a ``.pth`` file leads."""
    (environment.site / "beside.py").write_text("HOLDS = True\n")
    elsewhere = environment.evil / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "editable.py").write_text("HOLDS = True\n")
    (environment.site / "editable.pth").write_text(f"# a project\n\n{elsewhere}\n/no/such/place\n")
    text = "import beside, editable\ndef test_mine():\n    assert beside.HOLDS and editable.HOLDS\n"
    (own / "test_mine.py").write_text(text)
    done = vm.run("check", python=[str(environment.python)])
    assert 0 == done.returncode, (done.stdout, done.stderr)


def test_places_of_packages_are_found_in_the_interpreters_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, named = tmp_path / "first", tmp_path / "second", tmp_path / "named"
    for directory in (first, second, named):
        directory.mkdir()
    (first / "b.pth").write_text("../named\nimport os; os._exit(3)\nimport\tos\n../named\n")
    (first / "a.pth").write_bytes(b"\xef\xbb\xbf" + os.fsencode(second) + b"\r\n\xff\n")
    (first / ".hidden.pth").write_text(f"{tmp_path}\n")
    (first / "c.pth").mkdir()
    monkeypatch.setattr(sys, "path", ["/before"])
    find_installed([str(tmp_path / "gone"), str(first), str(second)])
    assert ["/before", str(first), str(second), str(named)] == sys.path
    command = [sys.executable, "-I", "-c", "import json, site, sys; site.addsitedir(sys.argv[1]);"]
    (first / ".hidden.pth").unlink()  # which older versions of Python do not pass over
    (first / "a.pth").write_text(f"{second}\n")
    (first / "b.pth").write_text("../named\n")
    command[-1] += " print(json.dumps(sys.path))"
    seen = subprocess.run([*command, str(first)], capture_output=True, text=True, check=True)
    assert json.loads(seen.stdout)[-3:] == sys.path[1:]
