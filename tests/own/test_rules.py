"""What a file of own invariants may hold: whatever could hide a test is refused with its line."""

from __future__ import annotations

import pytest

from invariants.own.model import OwnTest
from invariants.own.rules import RuleBroken, read_tests

PATH = "/etc/claude-failover/invariants.d/test_mine.py"


def reason(source: str) -> str:
    with pytest.raises(RuleBroken) as refused:
        read_tests(source.encode(), PATH)
    return str(refused.value)


def test_a_test_says_what_holds_and_the_fix() -> None:
    source = b'''
import pytest

@pytest.mark.fix("make room")
def test_disk_has_room(link, account):
    """The disk
    has room.

    A longer explanation.
    """
    assert link
'''
    holds = "The disk has room."
    expected = OwnTest("disk_has_room", ("link", "account"), holds, "# make room")
    assert (expected,) == read_tests(source, PATH)


def test_fix_that_is_a_command_is_taken_as_it_is() -> None:
    source = "@pytest.mark.command({!r})\ndef test_a(): assert max(0, 1)"
    line = "df -h '/a b'  # look: make room"
    (test,) = read_tests(source.format(line).encode(), PATH)
    assert line == test.fix
    for wrong in ("echo 'it", "", "# only words"):
        assert f"has no command line in {wrong!r}" in reason(source.format(wrong))


def test_without_words_the_name_and_the_place_have_to_do() -> None:
    (test,) = read_tests(b"def test_disk_has_room():\n    assert max(0, 1)", PATH)
    assert ("disk has room", f"sed -n 1,2p {PATH}  # look: what it asks for") == (
        test.holds,
        test.fix,
    )


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", "holds no test: write at least one function test_…"),
        ("x = 1", "holds no test: write at least one function test_…"),
        ("def broken(:", "line 1: invalid syntax"),
        ("x = '\0'", "line 1: source code string cannot contain null bytes"),
        ("def test_a(): assert max(0, 1)\n" * 2, "line 2: test_a is defined twice"),
        ("if 0:\n  def test_a(): assert max(0, 1)", "line 2: test_a is not at the top of the file"),
        ("class TestA:\n  def test_a(self): 1/0", "line 2: test_a is not at the top of the file"),
        (
            "def test_a():\n  assert max(0, 1)\n  def test_b(): assert max(0, 1)",
            "line 3: test_b is not at the top of the file",
        ),
        (
            "def testing(): assert max(0, 1)",
            "line 1: testing is no test: name it test_…, or not test…",
        ),
        ("def test_(): assert max(0, 1)", "line 1: test_ is no test: name it test_…, or not test…"),
        (
            f"def test_{'a' * 101}(): assert max(0, 1)",
            f"line 1: test_{'a' * 101} is too long a name: at most 100 characters",
        ),
        (
            "def test_link_is_shared(): assert max(0, 1)",
            "line 1: test_link_is_shared is an invariant of claude-failover: take another name",
        ),
        (
            "async def test_a(): assert max(0, 1)",
            "line 1: test_a is async: pytest would not run it",
        ),
        ("def test_a():\n  assert max(0, 1)\n  yield", "line 1: test_a yields: it would not run"),
        ("def test_a():\n  yield from ()", "line 1: test_a yields: it would not run"),
        ("def test_a(): return 0", "line 1: test_a returns something: assert it instead"),
        ("def test_a(): 1 == 2", "line 1: test_a compares without an assert: it could not fail"),
        ("def test_a(): pass", "line 1: test_a does nothing: it could not fail"),
        ("def test_a():\n  'Holds.'\n  ...", "line 1: test_a does nothing: it could not fail"),
        (
            "def test_a(account=1): assert max(0, 1)",
            "line 1: test_a takes more than plain arguments",
        ),
        ("def test_a(*all): assert max(0, 1)", "line 1: test_a takes more than plain arguments"),
        ("def test_a(**all): assert max(0, 1)", "line 1: test_a takes more than plain arguments"),
        ("def test_a(*, link): assert max(0, 1)", "line 1: test_a takes more than plain arguments"),
        ("def test_a(link, /): assert max(0, 1)", "line 1: test_a takes more than plain arguments"),
        (
            "def test_a(tmp_path): assert max(0, 1)",
            "line 1: test_a takes tmp_path: known are account, link, session, inventory; "
            "call a function instead",
        ),
        ("def test_a(): assert max(0, 1)\ntest_a = 1", "line 2: test_a is a test already"),
        ("def test_a(): assert max(0, 1)\ndel test_a", "line 2: test_a is a test already"),
        ("def test_a(): assert max(0, 1)\nimport x as test_a", "line 2: test_a is a test already"),
        ("def test_a(): assert max(0, 1)\nclass test_a: pass", "line 2: test_a is a test already"),
        (
            "def test_a(): assert max(0, 1)\ntry: pass\nexcept E as test_a: pass",
            "line 3: test_a is a test already",
        ),
        (
            "def pytest_runtest_call(item): pass\ndef test_a(): assert max(0, 1)",
            "line 1: pytest_runtest_call is a hook of pytest's",
        ),
        (
            "pytest_plugins = ['evil']\ndef test_a(): assert max(0, 1)",
            "line 1: pytest_plugins is a hook of pytest's",
        ),
    ],
)
def test_refused(source: str, expected: str) -> None:
    assert reason(source).removesuffix(", and may not be defined here") == expected


@pytest.mark.parametrize(
    "decorator",
    [
        "pytest.mark.skip",
        "pytest.mark.xfail(strict=False)",
        "pytest.mark.parametrize('x', [])",
        "contextmanager",
        "pytest.mark.fix",
        "pytest.mark.fix()",
        "pytest.mark.fix('a', 'b')",
        "pytest.mark.fix(text='a')",
        "pytest.mark.fix(TEXT)",
        "pytest.mark.fix('two\\nlines')",
        "pytest.mark.fix('a')\n@pytest.mark.fix('b')",
        "pytest.mark.fix('a')\n@pytest.mark.command('b')",
        "fix('a')",
    ],
)
def test_no_other_decorator_than_a_fix_is_taken(decorator: str) -> None:
    expected = (
        "test_a has a decorator other than @pytest.mark.fix('…') or @pytest.mark.command('…') with "
        "one line of text, once"
    )
    assert expected in reason(f"@{decorator}\ndef test_a(): assert max(0, 1)")


def test_functions_within_a_test_may_do_what_a_test_may_not() -> None:
    source = b"def test_a():\n  def each():\n    yield 1\n    return 2\n  assert list(each())"
    assert ["a"] == [test.invariant for test in read_tests(source, PATH)]


def test_a_file_nested_too_deeply_is_refused() -> None:
    assert "line 1" in reason("x = " + "(" * 1000) or "not Python" in reason("x = " + "(" * 1000)
