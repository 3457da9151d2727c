"""Own invariants in the gate: ways in which a file could say that all is well when it is not.

All evil files stand in one directory and are judged in one run, each in a process of its own: so
what one does to its process must not help another either.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from invariants.inventory import InventoryError, load
from invariants.own.rules import ARGUMENTS, read_tests
from launcher.errors import Interrupted
from launcher.gate import validate_all
from launcher.interrupts import Interrupts
from launcher.own import with_own
from launcher.verdict import Colour, Gate, Verdict
from tests.vm import CHECKOUT, Vm, snapshot

EXAMPLE = CHECKOUT / "examples" / "invariants.d" / "test_disks.py"
HEALTHY = '''
import pytest

@pytest.mark.fix("mend it")
def test_{name}():
    """It holds."""
    assert not bool({broken}), "it does not"
'''

EVIL = {
    "skip": "import pytest\n\ndef test_NAME(): pytest.skip('later')",
    "skip_module": "import pytest\npytest.skip('x', allow_module_level=True)\n"
    "def test_NAME(): assert 1 / 0",
    "skip_by_mark": "import pytest\npytestmark = pytest.mark.skip\ndef test_NAME(): assert 0",
    "xfail": "import pytest\n\ndef test_NAME(): pytest.xfail('known')",
    "xfail_by_mark": "import pytest\npytestmark = pytest.mark.xfail\ndef test_NAME(): assert 0",
    "importorskip": "import pytest\npytest.importorskip('no_such')\ndef test_NAME(): assert 0",
    "exit": "import pytest\n\ndef test_NAME(): pytest.exit('done', returncode=0)",
    "exit_on_import": "import pytest\npytest.exit('x', returncode=0)\ndef test_NAME(): assert 0",
    "os_exit": "import os\n\ndef test_NAME(): os._exit(0)",
    "os_exit_on_import": "import os\nos._exit(0)\ndef test_NAME(): assert 0",
    "system_exit": "def test_NAME(): raise SystemExit(0)",
    "system_exit_on_import": "import sys\nsys.exit(0)\ndef test_NAME(): assert 0",
    "interrupt": "def test_NAME(): raise KeyboardInterrupt",
    "kill": "import os\n\ndef test_NAME(): os.kill(os.getpid(), 9)",
    "no_import": "import no_such_module\n\ndef test_NAME(): assert max(0, 1)",
    "sibling": "import test_skip\n\ndef test_NAME(): assert max(0, 1)",
    "error": "def test_NAME(): open('')",
    "error_in_setup": "def setup_module(): 1 / 0\n\ndef test_NAME(): assert max(0, 1)",
    "error_in_teardown": "def teardown_module(): 1 / 0\n\ndef test_NAME(): assert max(0, 1)",
    "deleted": "def test_NAME(): assert max(0, 1)\n\ndel globals()['test_NAME']",
    "not_a_test": "def test_NAME(): assert max(0, 1)\n\ntest_NAME.__test__ = False",
    "more": "exec('def test_extra(): pass')\n\ndef test_NAME(): assert max(0, 1)",
    "inherited": "class Base:\n  pass\nsetattr(Base, 'test_b', lambda s: 1)\n"
    "class TestX(Base): pass\n\ndef test_NAME(): assert max(0, 1)",
    "generator": "def each(): yield\n\ndef test_NAME(): assert max(0, 1)\n\n"
    "globals()['test_NAME'] = each",
    "fork": "import os\n\ndef test_NAME():\n  copy = os.fork()\n"
    "  if copy:\n    os.waitpid(copy, 0)\n    os._exit(0)\n  assert max(0, 1)",
    "recorder": "import gc\n"
    "for o in gc.get_objects():\n"
    "  if type(o).__name__ == 'OwnRecorder': o.__dict__['document'] = {}\n\n"
    "def test_NAME(): assert pytest_is_not_imported",
    "descriptors": "import os\nfor n in range(3, 64):\n"
    "  try: os.write(n, b'{}')\n"
    "  except OSError: pass\n\ndef test_NAME(): assert 1 / 0",
}
"""Each file's test is called like the file, which only one that is judged can be told by."""

PATCHING = """
import launcher.child, launcher.own_child, launcher.verdict
import invariants.entries, invariants.plugin, pytest, _pytest.reports
invariants.plugin.Broken = ZeroDivisionError
invariants.entries.judge_entry = lambda *a: None
launcher.verdict.judge = None
launcher.own_child.judge_file = None
pytest.fail = lambda *a, **k: None
import pytest_jsonreport.plugin
pytest_jsonreport.plugin.JSONReport.pytest_sessionfinish = None

def test_patching():
    assert max(0, 1)
"""


@pytest.fixture
def own(vm: Vm) -> Path:
    """Return the directory of own invariants that the VM's inventory names."""
    directory = vm.root / "invariants.d"
    directory.mkdir(mode=0o700)
    vm.write({"api": ["sleep", "600"]}, invariants=[str(directory)])
    return directory


def put(directory: Path, name: str, text: str) -> Path:
    file = directory / f"test_{name}.py"
    file.write_text(text)
    file.chmod(0o600)
    return file


def judged(vm: Vm, families: Verdict | None = None, seconds: float = 30.0) -> Gate:
    """Judge own invariants beside families of which *families* is the verdict: green, if none."""
    now = time.time()
    gate = Gate(families or Verdict(Colour.GREEN, None, (), 11, 11), {}, now, now)
    inventory = load(str(vm.inventory))
    with Interrupts(signals=()) as interrupts:
        return with_own(gate, inventory, vm.environ, interrupts, time.monotonic() + seconds)


def failures(gate: Gate) -> dict[str, dict[str, Any]]:
    """Return what did not pass, by its node id's last part."""
    return {os.path.basename(one.nodeid): one.finding.as_json() for one in gate.verdict.failures}


def test_no_evil_file_is_refused_before_it_runs() -> None:
    for name, text in EVIL.items():
        assert read_tests(text.replace("NAME", name).encode(), "/d/test_a.py"), name


@pytest.mark.thorough
def test_no_evil_file_passes(vm: Vm, own: Path) -> None:
    for name, text in EVIL.items():
        put(own, name, text.replace("NAME", name))
    put(own, "healthy", HEALTHY.format(name="healthy", broken=False))
    put(own, "zz_broken", HEALTHY.format(name="zz_broken", broken=True))
    gate = judged(vm, seconds=300)  # two dozen processes, on a machine that may be at work
    found = {nodeid.partition(".")[0].removeprefix("test_") for nodeid in failures(gate)}
    assert {*EVIL, "zz_broken"} == found
    assert "red" == gate.verdict.colour
    states = {one.finding.state for one in gate.verdict.failures if "broken" not in one.nodeid}
    assert {"not-judged"} == states
    assert gate.verdict.passed == 11 + 1


THREADS = """
import threading

def check(text):
    assert text == "right", "it is " + text

def run(text):
    thread = threading.Thread(target=check, args=(text,))
    thread.start()
    thread.join()

def test_wrong_in_a_thread():
    run("wrong")

def test_right_in_a_thread():
    run("right")
"""


def test_what_a_thread_asserts_counts(vm: Vm, own: Path) -> None:
    put(own, "threads", THREADS)
    gate = judged(vm)
    (found,) = failures(gate).values()
    assert ("wrong_in_a_thread", "broken") == (found["invariant"], found["state"])
    assert found["found"].startswith("it is wrong")
    assert ("red", 12) == (gate.verdict.colour, gate.verdict.passed)


def test_a_file_that_patches_everything_changes_nothing_for_the_others(vm: Vm, own: Path) -> None:
    put(own, "a_patching", PATCHING)
    put(own, "b_broken", HEALTHY.format(name="b_broken", broken=True))
    vm.diverge("backup", "projects")
    gate = validate_all(load(str(vm.inventory)), environ=vm.environ)
    assert "red" == gate.verdict.colour
    assert {"b_broken", "link_is_shared", "test_a_patching.py"} == {
        one.finding.invariant for one in gate.verdict.failures
    }


def test_what_is_not_judged_is_unknown_and_says_which_file(vm: Vm, own: Path) -> None:
    put(own, "import", "import no_such_module\ndef test_a(): assert max(0, 1)")
    put(own, "healthy", HEALTHY.format(name="healthy", broken=False))
    gate = judged(vm)
    assert ("unknown", 13, 12) == (gate.verdict.colour, gate.verdict.expected, gate.verdict.passed)
    assert gate.verdict.reason is not None
    assert f"own invariants could not be judged: {own}/test_import.py: " in gate.verdict.reason
    assert "No module named 'no_such_module'" in gate.verdict.reason


def test_what_is_refused_when_it_is_read_is_unknown(vm: Vm, own: Path) -> None:
    put(own, "healthy", HEALTHY.format(name="healthy", broken=False))
    put(own, "open", HEALTHY.format(name="open", broken=False)).chmod(0o666)
    verdict = judged(vm).verdict
    assert ("unknown", 13, 12) == (verdict.colour, verdict.expected, verdict.passed)
    assert f"{own}/test_open.py: {own}/test_open.py can be written by everyone" in str(
        verdict.reason
    )
    (own / "test_open.py").unlink()
    (own / "test_healthy.py").unlink()
    verdict = judged(vm).verdict
    assert ("unknown", 12, 11) == (verdict.colour, verdict.expected, verdict.passed)
    assert "holds no test_*.py" in str(verdict.reason)


def test_a_finding_has_all_that_a_report_needs(vm: Vm, own: Path) -> None:
    put(own, "home", 'def test_home_is_empty(account):\n  "Nothing is there."\n  assert [] == [1]')
    assert {
        "invariant": "home_is_empty",
        "account": "backup",
        "link": None,
        "session": None,
        "state": "broken",
        "expected": "Nothing is there.",
        "found": "assert [] == [1]; Right contains one more item: 1; Use -v to get more diff",
        "fix": f"sed -n 1,3p {own}/test_home.py  # look: what it asks for",
    } == failures(judged(vm))["test_home.py::test_home_is_empty[backup]"]


def test_what_a_test_says_is_bounded(vm: Vm, own: Path) -> None:
    put(own, "long", "import pytest\ndef test_a(): pytest.fail('x' * 9000)")
    gate = judged(vm)
    assert 500 == len(failures(gate)["test_long.py::test_a"]["found"])


def test_every_subject_has_its_cases_and_they_cannot_be_confused(
    make_vm: Callable[..., Vm],
) -> None:
    vm = make_vm(accounts=("a", "a-b")).link()
    directory = vm.root / "own"
    directory.mkdir(mode=0o700)
    vm.write({"api": ["sleep", "600"]}, invariants=[str(directory)])
    body = "    assert 0\n"
    put(
        directory,
        "all",
        f"def test_e(link, account):\n{body}def test_s(session, account):\n{body}"
        f"def test_i(inventory):\n    assert inventory.links[0].name == 'session-env'\n{body}",
    )
    gate = judged(vm)
    names = [nodeid.partition("::")[2] for nodeid in failures(gate)]
    links = ("session-env", "file-history", "projects")
    entries = [f"test_e[{account}:{link}]" for account in ("a", "a-b") for link in links]
    assert [*entries, "test_s[a:api]", "test_i"] == names
    session = failures(gate)["test_all.py::test_s[a:api]"]
    assert ("a", "api") == (session["account"], session["session"])


def test_tests_of_sessions_hold_where_there_is_none(vm: Vm, own: Path) -> None:
    vm.write(invariants=[str(own)])
    put(own, "sessions", "def test_a(session): assert 0")
    assert ("green", 11) == (judged(vm).verdict.colour, judged(vm).verdict.expected)
    put(own, "both", "def test_b(session): assert 0\ndef test_c(): assert max(0, 1)")
    assert ("green", 12) == (judged(vm).verdict.colour, judged(vm).verdict.expected)


@pytest.mark.thorough
def test_a_hang_names_the_test_and_leaves_what_was_judged(vm: Vm, own: Path) -> None:
    put(own, "a", HEALTHY.format(name="a", broken=True))
    put(own, "b", "import time\ndef test_b(): time.sleep(600)")
    put(own, "c", HEALTHY.format(name="c", broken=True))
    vm.write(invariants=[str(own)], timeout=6)
    found = failures(judged(vm, seconds=6))
    assert "broken" == found["test_a.py::test_a"]["state"]
    assert f"{own}/test_b.py: no verdict within 6 s, hung at test_b" == found["test_b.py"]["found"]
    assert f"it was not run: {own}/test_b.py::test_b hung" in found["test_c.py"]["found"]


def test_without_time_left_nothing_is_judged(vm: Vm, own: Path) -> None:
    put(own, "a", HEALTHY.format(name="a", broken=False))
    verdict = judged(vm, seconds=-1).verdict
    assert "unknown" == verdict.colour
    assert "no time was left of the gate's 30 s" in str(verdict.reason)


class Failing:
    """Waits that end with an error, as a signal or a machine without descriptors makes them."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def poll(self, descriptors: list[int], seconds: float) -> list[int]:
        raise self._error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Interrupted(15, "SIGTERM"), "interrupted by SIGTERM"),
        (OSError(24, "Too many open files"), "own invariants could not be run: "),
    ],
)
def test_what_ends_the_run_is_unknown(vm: Vm, own: Path, error: Exception, reason: str) -> None:
    put(own, "a", HEALTHY.format(name="a", broken=False))
    now = time.time()
    gate = Gate(Verdict(Colour.GREEN, None, (), 11, 11), {}, now, now)
    until = time.monotonic() + 30
    gate = with_own(gate, load(str(vm.inventory)), vm.environ, Failing(error), until)
    assert "unknown" == gate.verdict.colour
    assert str(gate.verdict.reason).startswith(reason)


def test_a_file_that_ends_its_parent_leaves_all_unjudged(vm: Vm, own: Path) -> None:
    put(own, "a", "import os\ndef test_a(): os.kill(os.getppid(), 9)")
    put(own, "b", HEALTHY.format(name="b", broken=False))
    gate = judged(vm)
    assert ("unknown", 11) == (gate.verdict.colour, gate.verdict.passed)
    assert "own invariants' process ended with -9" in str(gate.verdict.reason)


@pytest.mark.parametrize(
    ("families", "broken", "expected"),
    [
        (Verdict(Colour.UNKNOWN, "no time", (), 11, 0), True, "unknown"),
        (Verdict(Colour.UNKNOWN, "no time", (), 11, 0), False, "unknown"),
        (Verdict(Colour.GREEN, None, (), 11, 11), True, "red"),
        (Verdict(Colour.GREEN, None, (), 11, 11), False, "green"),
    ],
)
def test_verdicts_are_joined(
    vm: Vm, own: Path, families: Verdict, broken: bool, expected: str
) -> None:
    put(own, "a", HEALTHY.format(name="a", broken=broken))
    verdict = judged(vm, families).verdict
    assert expected == verdict.colour
    assert (verdict.reason is None) == (expected != "unknown")
    assert 12 == verdict.expected


def test_one_document_holds_both_runs(vm: Vm, own: Path) -> None:
    put(own, "a", HEALTHY.format(name="a", broken=True))
    assert 1 == vm.run("check").returncode
    document = json.loads(vm.report_path.read_text())
    assert ("red", 25, 24) == tuple(
        document["failover"][key] for key in ("verdict", "expected", "passed")
    )
    assert {"passed": 24, "failed": 1, "total": 25, "collected": 25} == document["summary"]
    assert (1, 25) == (document["exitcode"], len(document["tests"]))
    assert f"{own}/test_a.py::test_a" == document["failover"]["failures"][0]["nodeid"]


def test_nothing_is_written_beside_the_files(vm: Vm, own: Path) -> None:
    put(own, "a", HEALTHY.format(name="a", broken=False))
    before = snapshot(own)
    assert "green" == judged(vm).verdict.colour
    assert before == snapshot(own)


def test_the_example_holds(vm: Vm, own: Path) -> None:
    put(own, "disks", EXAMPLE.read_text())
    vm.write({"api": ["sleep", "600"]}, invariants=[str(own)])
    gate = judged(vm)
    assert ("green", {}, 11 + 5) == (gate.verdict.colour, failures(gate), gate.verdict.expected)


def by_hand(vm: Vm, file: Path) -> subprocess.CompletedProcess[str]:
    """Run pytest over a file as the page of own invariants says."""
    command = [sys.executable, "-m", "pytest", "-p", "invariants.plugin"]
    command += ["-p", "invariants.own.plugin", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, "--inventory", str(vm.inventory), str(file)],
        env={**vm.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=vm.root,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_file_can_be_tried_by_hand(vm: Vm, own: Path) -> None:
    put(own, "home", "def test_home(account, inventory):\n  assert account.name == 'primary'")
    result = by_hand(vm, own / "test_home.py")
    assert "1 failed, 1 passed" in result.stdout
    assert "test_home[backup]" in result.stdout


def test_a_file_that_is_tried_by_hand_is_refused_as_by_the_gate(vm: Vm, own: Path) -> None:
    file = put(own, "home", "def test_home(account):\n  account.name == 'primary'")
    done = by_hand(vm, file)
    assert 0 != done.returncode
    assert f"{file}: line 2: test_home compares without an assert: it could not fail" in done.stdout


def test_directories_are_validated_with_the_inventory(vm: Vm) -> None:
    home = vm.home("backup")
    vm.write(invariants=[str(home / "own"), "", "~nobody-at-all/x", "/d", "/d", "/d/e"])
    with pytest.raises(InventoryError) as wrong:
        load(str(vm.inventory))
    assert [
        "launcher.invariants[1]: must not be empty",
        "launcher.invariants[2]: there is no user 'nobody-at-all'",
        f"launcher.invariants[0]: the directory of own invariants {home}/own lies inside "
        "the home of backup",
        "launcher.invariants[4]: /d is the directory of own invariants already",
        "launcher.invariants[5]: the directory of own invariants /d/e lies inside "
        "the directory of own invariants",
    ] == list(wrong.value.problems)


def test_page_shows_a_test_of_the_example() -> None:
    page = (CHECKOUT / "docs" / "own-invariants.md").read_text()
    shown = page.partition("```python\n")[2].partition("```")[0]
    assert shown in EXAMPLE.read_text()
    for rule in (*ARGUMENTS, "`conftest.py`", "`parametrize`", "`async`", "At most 1 MB"):
        assert rule in page
