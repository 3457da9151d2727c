"""Whether the kernel would start a session's program: found, executable, with an interpreter."""

from __future__ import annotations

from pathlib import Path

import pytest

from invariants.executable import interpreter_of, judge_program
from invariants.model import Session


@pytest.fixture
def bin_(tmp_path: Path) -> Path:
    """Return a directory that is all of ``PATH``, with one program in it."""
    path = tmp_path / "bin"
    path.mkdir()
    program(path / "there", "#!/bin/sh\n")
    return path


def program(path: Path, content: str, mode: int = 0o755) -> Path:
    path.write_text(content)
    path.chmod(mode)
    return path


def judged(bin_: Path, name: str) -> tuple[str, str] | None:
    session = Session("api", "a", str(bin_.parent), (name,))
    finding = judge_program(session, {"PATH": str(bin_)})
    return finding and (finding.state, finding.found)


@pytest.mark.parametrize(
    ("line", "interpreter"),
    [
        ("#!/bin/sh", "/bin/sh"),
        ("#! /bin/sh -e", "/bin/sh"),
        ("#!/usr/bin/env node", "node"),
        ("#!/usr/bin/env -S node --flag", "node"),
        ("#!/usr/bin/env -S -i A=1 B=2 node x", "node"),
        ("#!/usr/bin/env -i", "/usr/bin/env"),
        ("#!/usr/bin/env", "/usr/bin/env"),
        ("#!/usr/bin/env -S 'node", "/usr/bin/env"),
        ("#!env node", "node"),
        ("#!", None),
        ("\x7fELF", None),
        ("", None),
        ("echo hello", None),
    ],
)
def test_interpreter_is_the_one_that_the_kernel_and_env_look_for(
    tmp_path: Path, line: str, interpreter: str | None
) -> None:
    assert interpreter == interpreter_of(str(program(tmp_path / "x", f"{line}\nbody\n")))


@pytest.mark.parametrize(
    "line", ["#!/usr/bin/env there", "#!/usr/bin/env -S there -x", "#!/bin/sh"]
)
def test_script_whose_interpreter_is_there_can_start(bin_: Path, line: str) -> None:
    program(bin_ / "script", f"{line}\n")
    assert judged(bin_, "script") is None


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("#!/usr/bin/env gone", "no such executable in PATH ({bin}): gone"),
        ("#!/usr/bin/env -S gone -x", "no such executable in PATH ({bin}): gone"),
        ("#!{bin}/gone", "no such executable: {bin}/gone"),
        ("#!{bin}/plain", "no such executable: {bin}/plain"),
    ],
)
def test_missing_interpreter_is_told_with_its_place(bin_: Path, line: str, found: str) -> None:
    program(bin_ / "plain", "", 0o644)
    program(bin_ / "script", line.format(bin=bin_) + "\n")
    assert ("no-interpreter", found.format(bin=bin_)) == judged(bin_, "script")


def test_program_that_is_absent_is_told_with_what_stands_there(bin_: Path) -> None:
    assert ("missing", f"no such executable in PATH ({bin_})") == judged(bin_, "gone")
    assert ("missing", "no such executable") == judged(bin_, str(bin_ / "gone"))
    (bin_ / "link").symlink_to("nowhere")
    found = f"{bin_}/link is a symlink to nowhere, which is not there"
    assert ("dangling", found) == judged(bin_, "link") == judged(bin_, "bin/link")
    program(bin_ / "plain", "", 0o644)
    assert ("not-executable", f"{bin_}/plain may not be executed") == judged(bin_, "plain")


def test_later_entry_of_path_that_works_counts(bin_: Path) -> None:
    (bin_ / "link").symlink_to("nowhere")
    other = bin_.parent / "other"
    other.mkdir()
    program(other / "link", "#!/bin/sh\n")
    session = Session("api", "a", str(bin_.parent), ("link",))
    assert judge_program(session, {"PATH": f"{bin_}:{other}"}) is None
