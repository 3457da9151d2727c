"""What a file of own invariants could do to its own tests after it was read: none of it is green.

Every file holds one test that does not hold, and something that takes its place, silences it or
changes what is told of it. All are judged in one run, each in a process of its own.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from invariants.own.rules import read_tests
from tests.own.test_own_invariants import failures, judged, own, put  # noqa: F401  # a fixture
from tests.vm import Vm

TEST = """
def test_NAME(account):
    assert account.name == "nobody"
"""
AS_A_FIXTURE = """
import pytest
@pytest.fixture(autouse=True)
def evil(request):
"""
BEFORE_EACH = "def setup_function(function):\n"
PASSING = """
import pytest
@pytest.hookimpl(wrapper=True)
def passing(self, item, call):
    report = yield
    report.outcome = "passed"
    return report
P = type("P", (), {"pytest_" "runtest_makereport": passing})
"""
FRAMES = """
import sys
frame, found = sys._getframe(), {}
while frame is not None:
    for one in list(frame.f_locals.values()):
        found[type(one).__name__] = one
    frame = frame.f_back
"""

SHAPES = {
    # another function under the test's name
    "globals": "globals()['test_NAME'] = lambda: None",
    "globals_with_argument": "globals()['test_NAME'] = lambda account: None",
    "globals_update": "globals().update(test_NAME=lambda account: None)",
    "vars": "vars()['test_NAME'] = lambda account: None",
    "locals": "locals()['test_NAME'] = lambda account: None",
    "exec": "exec('def test_' + 'NAME(account): pass')",
    "exec_in_globals": "exec(compile('def test_NAME(account): pass', 'x', 'exec'), globals())",
    "setattr": "import sys\nsetattr(sys.modules[__name__], 'test_NAME', lambda account: None)",
    "module_dict": "import sys\nsys.modules[__name__].__dict__['test_NAME'] = lambda account: None",
    "star_import": "import sys, types\nm = types.ModuleType('evil_NAME')\n"
    "m.__dict__['test_NAME'] = lambda account: None\nsys.modules['evil_NAME'] = m\n"
    "from evil_NAME import *",
    "partial": "import functools\nglobals()['test_NAME'] = functools.partial(lambda account: None)",
    "wrapped": "import functools\nf = functools.wraps(test_NAME)(lambda account: None)\n"
    "globals()['test_NAME'] = f",
    "callable_object": "class C:\n  __name__ = 'x'\n  def __call__(self, account): pass\n"
    "globals()['test_NAME'] = C()",
    "module_class": "import sys, types\nclass M(types.ModuleType):\n"
    "  def __getattribute__(self, name):\n"
    "    return (lambda account: None) if name == 'test_NAME' else super().__getattribute__(name)\n"
    "sys.modules[__name__].__class__ = M",
    "module_replaced": "import sys, types\nm = types.ModuleType(__name__)\n"
    "m.__dict__['test_NAME'] = lambda account: None\nsys.modules[__name__] = m\n"
    "import gc\nfor o in gc.get_objects():\n"
    "  if type(o).__name__ == 'SourceModule': o._obj = m",
    "decorated_later": "def quiet(f):\n  def inner(account):\n    try: f(account)\n"
    "    except AssertionError as error: quiet.last = error\n  return inner\n"
    "globals()['test_NAME'] = quiet(test_NAME)",
    "matched": "match {'a': 1}:\n  case {**rest}: globals().update({'test_NAME': max})",
    # the function itself
    "code": "test_NAME.__code__ = (lambda account: None).__code__",
    "code_replaced": "test_NAME.__code__ = test_NAME.__code__.replace("
    "co_code=(lambda account: None).__code__.co_code,"
    "co_consts=(None,), co_names=(), co_stacksize=1, co_exceptiontable=b'')",
    "no_test": "test_NAME.__test__ = False",
    "marked": "import pytest\ntest_NAME.pytestmark = [pytest.mark.skip]",
    "marked_xfail": "import pytest\ntest_NAME.pytestmark = [pytest.mark.xfail]",
    # before each test
    "setup_code": BEFORE_EACH + "  function.__code__ = (lambda account: None).__code__",
    "setup_skips": "import pytest\n" + BEFORE_EACH + "  pytest.skip('later')",
    "setup_exits": "import os\n" + BEFORE_EACH + "  os._exit(0)",
    "fixture_runtest": AS_A_FIXTURE + "  request.node.runtest = lambda: None",
    "fixture_obj": AS_A_FIXTURE + "  request.node.obj = lambda account: None",
    "fixture_code": AS_A_FIXTURE + "  request.function.__code__ = (lambda account: 0).__code__",
    "fixture_skips": AS_A_FIXTURE + "  pytest.skip('later')",
    "fixture_exits": AS_A_FIXTURE + "  pytest.exit('done', returncode=0)",
    "fixture_ends": AS_A_FIXTURE + "  __import__('os')._exit(0)",
    "fixture_argument": AS_A_FIXTURE
    + "  class Nobody: name = 'nobody'\n  request.node.funcargs['account'] = Nobody()\n"
    "  request.node.callspec.params['account'] = Nobody()",
    "fixture_account": "import pytest\nclass Nobody: name = 'nobody'\n"
    "@pytest.fixture\ndef account(): return Nobody()",
    "fixture_registers": PASSING + AS_A_FIXTURE + "  request.config.pluginmanager.register(P())",
    # pytest itself
    "runtest": "import pytest\npytest.Function.runtest = lambda self: None",
    "pyfunc_call": "import _pytest.python as p\np.pytest_pyfunc_call = lambda pyfuncitem: True",
    "item_obj": "import pytest\npytest.Function.obj = property(lambda s: (lambda account: 0))",
    "from_call": "from _pytest.runner import CallInfo\nmade = CallInfo.from_call.__func__\n"
    "def quiet(cls, func, when, reraise=None):\n"
    "  return made(cls, (lambda: None) if when == 'call' else func, when, reraise)\n"
    "CallInfo.from_call = classmethod(quiet)",
    "report": "from pytest import TestReport\nmade = TestReport.from_item_and_call\n"
    "def quiet(cls, item, call):\n  r = made(item, call)\n  r.outcome = 'passed'\n  return r\n"
    "TestReport.from_item_and_call = classmethod(quiet)",
    "plugin_by_frames": FRAMES
    + PASSING
    + "found['SourceModule'].config.pluginmanager.register(P())",
    "items_by_frames": FRAMES + "def swap(self, items):\n"
    "  for one in items: one.obj = lambda account: None\n"
    "P = type('P', (), {'pytest_' 'collection_modifyitems': swap})\n"
    "found['SourceModule'].config.pluginmanager.register(P())",
    "impl_by_frames": FRAMES + "pm = found['SourceModule'].config.pluginmanager\n"
    "pm.hook.pytest_pyfunc_call._hookimpls[-1].function = lambda *a, **k: True",
    "document": "import json\nreal = json.dumps\nstage = {'outcome': 'passed', 'duration': 0}\n"
    "def forged(made, **options):\n"
    "  for test in made.get('tests', ()): test.update(outcome='passed', call=stage)\n"
    "  return real({**made, 'exitcode': 0}, **options)\n"
    "json.dumps = forged\nimport os\nend = os._exit\nos._exit = lambda code: end(0)",
    "written": "import json, os\ns = {'outcome': 'passed', 'duration': 0}\n"
    "tests = [{'nodeid': f'{__file__}::test_NAME[{a}]', 'outcome': 'passed', 'setup': s,"
    " 'call': s, 'teardown': s} for a in ('primary', 'backup')]\n"
    "text = json.dumps({'exitcode': 0, 'tests': tests, 'summary': {},"
    " 'own': {'run': '', 'ran': ['test_NAME[primary]', 'test_NAME[backup]'], 'replaced': None}})\n"
    "for n in range(3, 64):\n  try: os.pwrite(n, text.encode(), 0)\n  except OSError: pass\n"
    "os._exit(0)",
    "fail": "import pytest\nquiet = lambda *a, **k: None\n"
    "quiet.Exception = pytest.fail.Exception\npytest.fail = quiet",
    "sys_modules": "import sys, types\nsys.modules['pytest'] = types.ModuleType('pytest')",
    "expected": "import invariants.own.plugin as p\np.own_cases = lambda *a: []",
    # the process, and the file
    "exit_at_import": "import os\nos._exit(0)",
    "exit_in_a_thread": "import os, threading\nthreading.Thread(target=os._exit, args=(0,)).start()"
    "\nimport time\ntime.sleep(60)",
    "exit_by_a_signal": "import os, signal\nsignal.signal(signal.SIGALRM, lambda *a: os._exit(0))\n"
    "signal.setitimer(signal.ITIMER_REAL, 0.01)\nimport time\ntime.sleep(60)",
    "exit_by_a_fork": "import os\nif os.fork(): os._exit(0)",
    "at_exit": "import atexit, os\natexit.register(os._exit, 0)",
    "written_anew": "open(__file__, 'w').write('def test_NAME(account): print(account)')",
    "written_anew_with_bytecode": "import py_compile\n"
    "open(__file__, 'w').write('def test_NAME(account): print(account)')\n"
    "py_compile.compile(__file__)",
    "no_file": "import os\nos.unlink(__file__)",
}
IN_ITS_PLACE = frozenset({"at_exit", "written_anew", "written_anew_with_bytecode", "no_file"})
"""What changes nothing of the run: the test is judged as it was read, and is broken."""


def test_there_are_as_many_shapes_as_were_tried() -> None:
    assert len(SHAPES) >= 45


def test_no_shape_is_refused_before_it_runs() -> None:
    """So what is shown is not only that it can be read out of the file."""
    for name, text in SHAPES.items():
        assert read_tests(f"{TEST}\n{text}\n".replace("NAME", name).encode(), "/d/test_a.py")


@pytest.mark.thorough
def test_no_shape_is_green(vm: Vm, own: Path) -> None:  # noqa: F811
    for name, text in SHAPES.items():
        put(own, name, f"{TEST}\n{text}\n".replace("NAME", name))
    gate = judged(vm, seconds=300)
    found = failures(gate)
    told = {nodeid.partition(".")[0].removeprefix("test_") for nodeid in found}
    assert {*SHAPES} == told
    assert (11, "red") == (gate.verdict.passed, gate.verdict.colour)
    broken = {nodeid for nodeid, one in found.items() if one["state"] == "broken"}
    assert {f"test_{name}.py::test_{name}" for name in IN_ITS_PLACE} <= {
        nodeid.partition("[")[0] for nodeid in broken
    }


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ("globals_with_argument", "passed, but its code did not run to its end"),
        ("plugin_by_frames", "passed, but its code did not run to its end"),
        ("fail", "it replaces pytest.fail, by which the gate judges"),
        ("sys_modules", "it replaces pytest, by which the gate judges"),
    ],
)
def test_what_was_replaced_is_told_with_its_file(
    vm: Vm,
    own: Path,  # noqa: F811
    shape: str,
    reason: str,
) -> None:
    file = put(own, shape, f"{TEST}\n{SHAPES[shape]}\n".replace("NAME", shape))
    gate = judged(vm)
    assert ("unknown", 11) == (gate.verdict.colour, gate.verdict.passed)
    assert f"own invariants could not be judged: {file}: " in str(gate.verdict.reason)
    assert reason in str(gate.verdict.reason)


def test_tests_that_call_each_other_or_are_left_by_return_are_green(
    vm: Vm,
    own: Path,  # noqa: F811
) -> None:
    text = '''
import threading

def test_named(account, inventory):
    """It has a name."""
    if account.name == "primary":
        return
    assert account in inventory.accounts

def test_again(session, account, link):
    test_named(account, None) if account.name == "primary" else None
    for _ in range(2):
        if link.name == "projects":
            return
    assert session.account == account.name

def test_alone():
    account = "rebound"
    assert account
'''
    put(own, "good", text)
    gate = judged(vm)
    assert ("green", 11 + 2 + 3 + 1) == (gate.verdict.colour, gate.verdict.passed), gate.verdict
