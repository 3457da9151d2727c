"""Own invariants that cannot fail are refused, each with its line; those that can are not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from invariants.own.rules import RuleBroken, read_tests
from tests.own.test_own_invariants import EXAMPLE, failures, judged, own, put  # noqa: F401
from tests.vm import CHECKOUT, Vm

PATH = "/etc/claude-failover/invariants.d/test_mine.py"

ALWAYS_TRUE = {
    'assert (link.target == "/x", "message")': "a tuple",
    "assert (link.target,)": "a tuple",
    'assert "the target must be /x"': "a constant",
    "assert b'x'": "a constant",
    "assert True": "a constant",
    "assert 1, 'one'": "a constant",
    "assert ...": "a constant",
    "assert [link.target == '/x']": "a list",
    "assert {link.target}": "a list",
    "assert {'target': link.target}": "a dict",
    "assert lambda: link.target == '/x'": "a lambda",
    "assert (one == '/x' for one in [link.target])": "a generator",
    "assert f'{link.target} must be /x'": "a text",
    "assert '%s must be /x' % link.target": "a text",
    "assert '{} must be /x'.format(link.target)": "a text",
    "assert 'target: ' + link.target": "a text",
    "assert link.target == '/x' or '/y'": "… or a constant",
    "assert link.target == '/x' or True": "… or a constant",
    "assert link.name and 0 or (1, 2)": "… or a tuple",
    "assert 'a' and 'b'": "a constant",
    "assert not ()": "not of what is never true",
    "assert not False": "not of what is never true",
    "assert not 0": "not of what is never true",
    "assert (found := 'x')": "a constant",
    "assert 'a' if link.name else 'b'": "a constant",
    "assert 1 == 1": "a comparison that comes out the same each time",
    "assert 'a' in 'abc'": "a comparison that comes out the same each time",
    "assert link.target == link.target": "a comparison that comes out the same each time",
    "assert len(link.target) >= 0": "a comparison that comes out the same each time",
    "assert len(link.target) > -1": "a comparison that comes out the same each time",
    "assert os.path.exists": "a function that is not called",
    "assert os.path.ismount, link.target": "a function that is not called",
    "assert helper": "a function that is not called",
    "assert Helper": "a function that is not called",
    "assert isinstance": "a function that is not called",
    "assert filter(None, [link.target])": "what filter returns",
    "assert map(str, [])": "what map returns",
    "assert os.scandir(link.target)": "what os.scandir returns",
    "assert Path(link.target)": "what pathlib.Path returns",
    "assert pathlib.Path(link.target) / 'x'": "a path",
    "assert subprocess.run(['mountpoint', link.target])": "what subprocess.run returns",
    "assert run(['true'], check=False)": "what subprocess.run returns",
    "assert generator(link)": "generator(…), which does not run by that",
    "assert coroutine(link)": "coroutine(…), which does not run by that",
    "for one in [1]:\n    if link.name:\n      assert (one, 2)": "a tuple",
    "with open(link.target) as file:\n    assert 'x'": "a constant",
    "def inner():\n    assert (1, 2)\n  inner()": "a tuple",
    "assert __debug__": "a constant",
}
COMPARES = [
    "link.target == '/x'",
    "link.target != '/x'",
    "link.target is None",
    "link.name in link.target",
    "link.name not in link.target",
    "'a' < link.name < 'b'",
    "link.target == '/x' and link.name == 'x'",
    "link.name and link.target == '/x'",
    "os.path.exists(link.target) and link.name == 'x'",
    "link.target == '/x' or link.name == 'x'",
    "not link.target",
    "not os.path.exists(link.target)",
    "not (link.target == '/x')",
    "(link.target == '/x')",
    "(link.target == '/x', 'message')",
    "[link.target == '/x']",
    "[one == '/x' for one in [link.target]]",
    "(ok := link.target == '/x')",
    "ok = link.target == '/x'",
    "ok = not link.target",
    "link.target == '/x' if link.name else None",
    "os.stat(link.target).st_mode & 0o777 == 0o700",
    "with open(link.target) as file:\n    file.read() == ''",
    "if link.name:\n    link.target == '/x'",
    "for one in [link]:\n    one.target == '/x'",
    "try:\n    link.target == '/x'\n  except OSError:\n    pytest.fail('x')",
    "import os; link.target == '/x'",
    "assert link.name\n  link.target == '/x'",
]
ASKS = {
    "all(one == '/x' for one in [link.target])": "asks, and nothing uses the answer",
    "any([link.target == '/x'])": "asks, and nothing uses the answer",
    "isinstance(link.target, str)": "asks, and nothing uses the answer",
    "os.path.exists(link.target)": "asks, and nothing uses the answer",
    "os.path.ismount(link.target)": "asks, and nothing uses the answer",
    "link.target.startswith('/x')": "asks, and nothing uses the answer",
    "bool(link.target == '/x')": "asks, and nothing uses the answer",
    "link.target": "names a value, and nothing uses it",
    "link": "names a value, and nothing uses it",
    "pytest.fail": "names a value, and nothing uses it",
    "f'{link.target} is wrong'": "makes a value, and nothing uses it",
    "lambda: link.target == '/x'": "makes a function that nothing calls",
    "(one == '/x' for one in [link.target])": "makes a function that nothing calls",
    "AssertionError('it is wrong')": "makes an exception and does not raise it",
    "if link.name:\n    ValueError('it is wrong')": "makes an exception and does not raise it",
    "pytest.raises(ValueError)": "calls pytest.raises without a block",
    "generator(link)": "calls generator, which does not run by that",
    "coroutine(link)": "calls coroutine, which does not run by that",
    "asks(link)": "calls asks, and nothing uses what it returns",
}
UNREACHED = [
    "return\n  assert link.target",
    "if link.name:\n    return\n  else:\n    return\n  assert link.target",
    "pytest.skip('later')\n  assert link.target",
    "sys.exit(0)\n  assert link.target",
    "raise ValueError\n  assert link.target",
    "if False:\n    assert link.target",
    "if 0:\n    assert link.target\n  assert link.name",
    "if TYPE_CHECKING:\n    assert link.target",
    "if typing.TYPE_CHECKING:\n    assert link.target",
    "if not True:\n    assert link.target",
    "if False and link.name:\n    assert link.target",
    "if True:\n    print(link)\n  else:\n    assert link.target",
    "if '':\n    assert link.target",
    "while False:\n    assert link.target",
    "while True:\n    print(link)\n  assert link.target",
    "for one in []:\n    assert link.target",
    "for one in ():\n    assert link.target",
    "for one in [link]:\n    continue\n    assert one.target",
    "for one in [link]:\n    break\n    assert one.target",
    "with open(link.target):\n    return\n  assert link.target",
    "try:\n    return\n  finally:\n    print(link)\n  assert link.target",
    "return\n  helper(link)",
    "match link.name:\n    case 'a': return\n    case _: return\n  assert link.target",
    "if __debug__:\n    return\n  assert link.target",
]
UNCALLED = [
    "def check():\n    assert link.target\n  print(link)",
    "def check():\n    assert link.target",
    "async def check():\n    assert link.target",
    "def check():\n    assert link.target\n    check()",
    "assert link.name\n  if link.name:\n    def check():\n      assert link.target",
]
SWALLOWED = [
    "try:\n    assert link.target\n  except AssertionError:\n    pass",
    "try:\n    assert link.target\n  except Exception:\n    pass",
    "try:\n    assert link.target\n  except BaseException:\n    ...",
    "try:\n    assert link.target\n  except:\n    pass",
    "try:\n    assert link.target\n  except (OSError, AssertionError):\n    pass",
    "try:\n    assert link.target\n  except AssertionError as error:\n    print(error)",
    "try:\n    assert link.target\n  except Exception:\n    logging.warning('it is wrong')",
    "try:\n    assert link.target\n  except AssertionError:\n    return",
    "try:\n    assert link.target\n    assert link.name\n  except AssertionError:\n    return",
    "try:\n    assert link.target\n  finally:\n    return",
    "try:\n    pytest.fail('x')\n  except BaseException:\n    pass",
    "try:\n    raise AssertionError('x')\n  except Exception:\n    pass",
    "try:\n    helper(link)\n  except Exception:\n    pass",
    "for one in [link]:\n    try:\n      assert one.target\n    except Exception:\n      continue",
    "try:\n    if link.name:\n      assert link.target\n  except Exception:\n    pass",
    "with contextlib.suppress(AssertionError):\n    assert link.target",
    "with contextlib.suppress(Exception):\n    assert link.target",
    "with suppress(OSError, AssertionError):\n    helper(link)",
    "with pytest.raises(AssertionError):\n    assert link.target",
    "with pytest.raises(Exception):\n    assert link.target",
    "with pytest.raises((ValueError, AssertionError)):\n    assert link.target",
]
NOTHING = [
    "return",
    "if link.name:\n    return",
    "print(link)",
    "for one in [link]:\n    pass",
    "name = link.name\n  other = name",
    "return\n  pytest.fail('never')",
    "return\n  raise AssertionError",
    "import os",
    "global OTHER\n  OTHER = 1",
    "found = [one for one in [link] if one.target]",
    "subprocess.run(['mountpoint', link.target])",
    "os.system('mountpoint /srv')",
    "quiet(link)",
    "with contextlib.suppress(OSError):\n    pass",
    "try:\n    print(link)\n  except OSError:\n    print(link)",
]
HEAD = """
from __future__ import annotations
import contextlib, logging, os, pathlib, subprocess, sys, typing
from contextlib import suppress
from pathlib import Path
from subprocess import run
from typing import TYPE_CHECKING
import pytest

HELPED = []

class Helper:
    def check(self, link):
        assert link.target

def helper(link):
    assert link.target, "no target"

def asks(link):
    return link.target == "/x"

def quiet(link):
    HELPED[:] = [link]

def generator(link):
    assert link.target
    yield link

async def coroutine(link):
    assert link.target

HELPED += [helper, asks, quiet, generator, coroutine, Helper]
"""


def refusal(body: str, head: str = HEAD) -> str | None:
    """Return why a file with one test of that *body* is refused, without its line's number."""
    try:
        read_tests(f"{head}\ndef test_a(link):\n  {body}\n".encode(), PATH)
    except RuleBroken as refused:
        line, _, reason = str(refused).partition(": ")
        assert line.startswith("line ")
        assert len(head.splitlines()) + 1 < int(line.removeprefix("line "))
        return reason
    return None


@pytest.mark.parametrize("body", ALWAYS_TRUE)
def test_an_assert_of_what_is_always_true_is_refused(body: str) -> None:
    assert f" asserts {ALWAYS_TRUE[body]}, which is always true: " in (refusal(body) or "")


@pytest.mark.parametrize("body", COMPARES)
def test_a_comparison_that_nothing_asserts_is_refused(body: str) -> None:
    assert "test_a compares without an assert: it could not fail" == refusal(body)


@pytest.mark.parametrize("body", ASKS)
def test_a_value_that_nothing_uses_is_refused(body: str) -> None:
    assert f"test_a {ASKS[body]}" in (refusal(body) or "")


@pytest.mark.parametrize("body", UNREACHED)
def test_an_assert_that_is_never_reached_is_refused(body: str) -> None:
    assert "test_a has an assert that is never reached: " in (refusal(body) or "")


@pytest.mark.parametrize("body", UNCALLED)
def test_an_assert_in_a_function_that_is_never_called_is_refused(body: str) -> None:
    assert "check within test_a is never called" in (refusal(body) or "")


@pytest.mark.parametrize("body", SWALLOWED)
def test_an_assert_whose_failure_is_swallowed_is_refused(body: str) -> None:
    assert (refusal(body) or "").startswith(("test_a asserts what", "test_a asserts where")) or (
        "turns its failure into a pass" in (refusal(body) or "")
    )


@pytest.mark.parametrize("body", NOTHING)
def test_a_test_with_nothing_that_could_fail_is_refused(body: str) -> None:
    assert "test_a has nothing that could fail: assert what must hold" == refusal(body)


@pytest.mark.parametrize("body", ["pass", "...", "'It holds.'", "'It holds.'\n  ...\n  pass"])
def test_a_test_that_does_nothing_is_refused(body: str) -> None:
    assert "test_a does nothing: it could not fail" == refusal(body)


@pytest.mark.parametrize(
    ("helper", "expected"),
    [
        ("def check(link):\n  link.target == '/x'", "check compares without an assert"),
        ("def check(link):\n  assert (link.target, 'x')", "check asserts a tuple"),
        ("def check(link):\n  return\n  assert link.target", "check has an assert that is never"),
        ("class C:\n  def check(self):\n    assert 'x'", "check asserts a constant"),
        ("assert 'at the top'", "the file asserts a constant"),
        ("def disk_has_room(link):\n  assert link.target", "nothing calls disk_has_room, and so"),
        ("def one(link):\n  two(link)\ndef two(link):\n  assert link", "nothing calls two, and so"),
    ],
)
def test_what_a_test_calls_is_read_too(helper: str, expected: str) -> None:
    calls = "check(link)" if "def check(link)" in helper else "assert link.target"
    with pytest.raises(RuleBroken, match=expected):
        read_tests(f"{helper}\ndef test_a(link):\n  {calls}\n".encode(), PATH)


HEALTHY = [
    # asserts, and what counts as one
    "assert link.target",
    "assert link.target == '/x', 'it is elsewhere'",
    "assert (link.target == '/x'), 'it is elsewhere'",
    "assert (\n    link.target == '/x'\n    and link.name == 'x'\n  )",
    "assert not link.target.endswith('/')",
    "assert link.target == '/x' or link.name == 'x'",
    "assert link.name or os.path.exists(link.target)",
    "assert 0 < len(link.name) < 9",
    "assert len(link.name)",
    "assert [one for one in [link] if one.target]",
    "assert [*link.target]",
    "assert {**vars(link)}",
    "assert all(one.target for one in [link])",
    "assert any(map(str.isupper, link.name))",
    "assert os.path.exists(link.target)",
    "assert Path(link.target).exists()",
    "assert Path(link.target).stat().st_mode & 0o777 == 0o700",
    "assert subprocess.run(['true']).returncode == 0",
    "assert run(['true'], check=True)",
    "assert list(filter(None, [link.target]))",
    "assert asks(link)",
    "assert (found := link.target), found",
    "assert '/x' + link.name == link.target",
    "assert f'/x/{link.name}' == link.target",
    "assert link.target if link.name else True",
    "assert 'x' in link.name",
    "assert float(link.name) == float(link.name)",
    "assert False, 'not written yet'",
    "assert sys.platform == 'linux'",
    "if not link.target:\n    pytest.fail('no target')",
    "if not link.target:\n    raise AssertionError('no target')",
    "link.target or pytest.fail('no target')",
    "link.target == '/x' or pytest.fail('elsewhere')",
    "link.target == '/x' and pytest.fail('elsewhere')",
    "pytest.fail('elsewhere') if link.target != '/x' else None",
    # by what is called
    "helper(link)",
    "Helper().check(link)",
    "os.stat(link.target)",
    "open(link.target).close()",
    "subprocess.run(['true'], check=True)",
    "run(['true'], check=link.name != '')",
    "run(['true'], **{'check': True})",
    "subprocess.check_call(['true'])",
    "[helper(one) for one in [link]]",
    "all(helper(one) is None for one in [link])",
    "list(generator(link))",
    "for _ in generator(link): pass",
    "import asyncio\n  asyncio.run(coroutine(link))",
    "unknown = __import__('unknown')\n  unknown.check(link.target)",
    "os.environ['HOME']",
    "check = helper\n  check(link)",
    "functions = [helper]\n  for one in functions:\n    one(link)",
    # ways through
    "for one in [link]:\n    assert one.target",
    "while not link.target:\n    assert link.name",
    "while True:\n    if link.target:\n      break\n  assert link.target",
    "if link.name == 'x':\n    return\n  assert link.target",
    "while True:\n    if link.target:\n      return\n    pytest.fail('none')\n"
    "  raise AssertionError('nobody comes here')",
    "while True:\n    if link.target:\n      return\n    pytest.fail('none')\n"
    "  assert False, 'nobody comes here'",
    "if not link.name:\n    pytest.skip('nothing to judge')\n  assert link.target",
    "for one in [link]:\n    if not one.name:\n      continue\n    assert one.target",
    "if TYPE_CHECKING:\n    from x import y\n  assert link.target",
    "with open('/dev/null') as file:\n    assert file.read() == ''",
    "with suppress(OSError):\n    assert os.listdir(link.target)",
    "with suppress(OSError):\n    os.stat(link.target)\n  assert link.target",
    "with pytest.raises(ValueError):\n    int(link.target)",
    "with pytest.raises(FileNotFoundError):\n    assert open(link.target)",
    "with pytest.raises(AssertionError):\n    helper(link)",
    "with pytest.raises(OSError) as caught:\n    open('/no')\n  assert caught.value.errno == 2",
    "with pytest.raises(ValueError):\n    raise ValueError\n  assert link.target",
    "with pytest.raises(TypeError):\n    link.target < 1",
    "with pytest.raises(AttributeError):\n    link.nothing",
    "try:\n    os.stat(link.target)\n  except OSError as error:\n    pytest.fail(str(error))",
    "try:\n    os.pidfd_open\n  except AttributeError:\n    pytest.fail('an old Python')",
    "try:\n    assert os.stat(link.target)\n  except OSError:\n    pass",
    "try:\n    assert link.target\n  except AssertionError:\n    raise",
    "try:\n    assert link.target\n  except AssertionError as error:\n    pytest.fail(str(error))",
    "try:\n    assert link.target\n  finally:\n    print(link)",
    "try:\n    number = int(link.name)\n  except Exception:\n    return\n  assert number",
    "failed = []\n  try:\n    assert link.target\n  except AssertionError as error:\n"
    "    failed.append(error)\n  assert not failed",
    "ok = False\n  try:\n    assert link.target\n    ok = True\n  except AssertionError:\n"
    "    pass\n  assert ok",
    "for _ in range(3):\n    try:\n      assert link.target\n      break\n"
    "    except AssertionError:\n      pass\n  else:\n    pytest.fail('three times')",
    "for _ in range(3):\n    try:\n      assert link.target\n    except Exception:\n"
    "      continue\n    else:\n      return\n  pytest.fail('three times')",
    "try:\n    unknown.check(link)\n  except Exception:\n    pass\n  assert link.target",
    "try:\n    raise KeyError\n  except Exception:\n    pass\n  assert link.target",
    "match link.name:\n    case 'x': assert link.target\n    case _: pass",
    "def check(one):\n    assert one.target\n  check(link)",
    "def check(one):\n    assert one.target\n  for _ in map(check, [link]): pass",
    "def check():\n    yield link.target\n  assert list(check())",
    "class Local:\n    def check(self):\n      assert link.target\n  Local().check()",
    "ok = link.target == '/x'\n  assert ok",
    "if (ok := link.target == '/x') and link.name:\n    print(ok)\n  assert ok",
    "ok = True\n  ok &= link.target == '/x'\n  assert ok",
    "wrong = [one for one in [link] if not one.target]\n  assert not wrong, wrong",
    "'''A note.'''\n  assert link.target\n  '''Another.'''",
    "logging.info('looking')\n  assert link.target",
    "recursive(link)",
    "outcome = helper(link)",
]
FILES = {
    "a fixture that asserts": "import pytest\n@pytest.fixture(autouse=True)\ndef ready():\n"
    "  assert 1 + 1 == len('ab')\n  yield\ndef test_a(link):\n  assert link.target",
    "set up and taken down": "def setup_module():\n  assert len('a')\ndef teardown_module():\n"
    "  assert len('a')\ndef test_a(link):\n  assert link.target",
    "a registered helper": "CHECKS = []\ndef check(f):\n  CHECKS.append(f)\n  return f\n@check\n"
    "def one(link):\n  assert link.target\ndef test_a(link):\n  for f in CHECKS: f(link)",
    "found by name": "def check_x(link):\n  assert link.target\ndef test_a(link):\n"
    "  for name, one in globals().items():\n    if name.startswith('check_'): one(link)",
    "a default": "def check(link):\n  assert link.target\ndef each(link, by=check):\n  by(link)\n"
    "def test_a(link):\n  each(link)",
    "a table": "def one(link):\n  assert link.target\nTABLE = {'one': one}\n"
    "def test_a(link):\n  TABLE['one'](link)",
    "called by main": "def test_a(link):\n  assert link.target\n"
    "if __name__ == '__main__':\n  import pytest\n  pytest.main([__file__])",
    "a class of checks": "class Checks:\n  def room(self, link):\n    assert link.target\n"
    "def test_a(link):\n  Checks().room(link)",
    "names of builtins": "def all(some):\n  assert list(some)\ndef test_a(link):\n"
    "  all(one for one in [link])",
    "names of modules": "class os:\n  class path:\n    def exists(p): assert p\n"
    "def test_a(link):\n  os.path.exists(link.target)",
    "an argument with a known name": "def check(run):\n  run(['true'])\n"
    "def test_a(link):\n  check(print)",
    "defined twice": "try:\n  from x import check\nexcept ImportError:\n"
    "  def check(link): return link.target == '/x'\ndef test_a(link):\n  check(link)",
    "a decorated generator": "import contextlib\n@contextlib.contextmanager\ndef mounted():\n"
    "  assert len('a')\n  yield\ndef test_a(link):\n  mounted().__enter__()\n  mounted()\n"
    "  assert link.target",
    "a method by the name of a helper": "class C:\n  def check(self): return 1\n"
    "from unknown import *\ndef test_a(link):\n  check(link)",
    "names of another module": "from unknown import *\ndef test_a(link):\n"
    "  print(link)\n  all([link])\n  assert str",
    "each other": "def even(n):\n  return n == 0 or odd(n - 1)\ndef odd(n):\n"
    "  assert n\n  return even(n - 1)\ndef test_a(link):\n  even(len(link.name))",
    "unused comparison at the top": "import os\nLINUX = os.name == 'posix'\n"
    "def test_a(link):\n  assert link.target",
}
RECURSIVE = "\ndef recursive(link, deep=2):\n    if deep:\n        recursive(link, deep - 1)\n"


@pytest.mark.parametrize("body", HEALTHY)
def test_a_test_that_can_fail_is_taken(body: str) -> None:
    head = HEAD + RECURSIVE + ("" if "unknown" not in body else "import unknown\n")
    assert refusal(body, head) is None


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_tests_that_can_fail_is_taken(name: str) -> None:
    assert ["a"] == [test.invariant for test in read_tests(FILES[name].encode(), PATH)]


def test_the_example_and_what_the_docs_show_are_taken() -> None:
    page = (CHECKOUT / "docs" / "own-invariants.md").read_text()
    assert read_tests(EXAMPLE.read_bytes(), PATH)
    for shown in page.split("```python\n")[1:]:
        assert read_tests(f"import os, pytest\n{shown.partition('```')[0]}".encode(), PATH)


def test_what_is_refused_is_what_pytest_passes(tmp_path: Path) -> None:
    """Each is run by pytest as it is: what is always true, left lying or swallowed does pass."""
    bodies = [*ALWAYS_TRUE, *COMPARES, *SWALLOWED, *NOTHING]
    skipped = ("pytest.fail", "raise ", "run(", "os.system", "open(", "os.s", "turns", "raises")
    kept = [body for body in bodies if not any(word in body for word in skipped)]
    tests = [f"def test_{number}(link):\n  {body}\n" for number, body in enumerate(kept)]
    given = (
        "\nclass Link:\n    target = '/wrong'\n    name = 'wrong'\n\n"
        "@pytest.fixture\ndef link():\n    return Link()\n\n"
    )
    file = tmp_path / "test_all.py"
    file.write_text(HEAD + given + "\n".join(tests))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore"]
    done = subprocess.run(
        [*command, str(file)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert f"{len(kept)} passed" in done.stdout, done.stdout
    assert len(kept) > 80


def test_helpers_that_all_call_each_other_are_read_in_no_time() -> None:
    """Each is gone through once, whatever calls it: 25 would take for ever else."""
    every = range(25)
    calls = {
        one: "".join(f"  f{other}(link)\n" for other in every if other != one) for one in every
    }
    source = "".join(f"def f{one}(link):\n{calls[one]}" for one in every)
    assert read_tests(f"{source}def test_a(link):\n  f0(link)\n".encode(), PATH)


def test_a_file_that_cannot_fail_is_unknown_with_its_line(vm: Vm, own: Path) -> None:  # noqa: F811
    text = 'def test_mine(link):\n    """It holds."""\n    assert (link.target == "/x", "no")\n'
    file = put(own, "mine", text)
    gate = judged(vm)
    assert ("unknown", 11, 12) == (
        gate.verdict.colour,
        gate.verdict.passed,
        gate.verdict.expected,
    )
    assert (
        f"{file}: line 3: test_mine asserts a tuple, which is always true: "
        'leave out the parentheses: assert condition, "message"'
    ) == failures(gate)["test_mine.py"]["found"]
