"""A session's program is a script whose interpreter the launcher's PATH does not have."""

from __future__ import annotations

from tests.cases.vm import Work, said
from tests.vm import Vm

PUBLIC = "anthropics/claude-code#7488"


def test_it_is_red_before_a_start_with_what_is_missing(vm: Vm) -> None:
    work = Work(vm)
    text = work.program.read_text()
    first, rest = text.split("\n", 1)
    work.program.write_text(f"#!/usr/bin/env node-of-nvm\n{rest}")
    for verb in ("check", "up"):
        done = vm.run(verb)
        assert 1 == done.returncode, said(done)
        assert f"no such executable in PATH ({vm.environ['PATH']}): node-of-nvm" in done.stdout
    assert [] == work.pids
    work.program.write_text(f"{first}\n{rest}")
    work.up()
