"""Sessions: what each needs to be started at all."""

from __future__ import annotations

import os

from invariants.access import user_name
from invariants.executable import judge_program
from invariants.finding import Finding, quoted
from invariants.fixes import look
from invariants.folders import judge_folders, warn_of_alike
from invariants.model import Session
from invariants.programs import (
    BACKEND_PROGRAMS,
    find_program,
    manager_answers,
    manager_directory,
)
from invariants.sessions import judge_directory, judge_terminal
from invariants.sockets import judge_sockets
from invariants.vm import Broken, Vm


def test_session_directory_exists(session: Session) -> None:
    """Every session's directory can be entered, since tmux would start it elsewhere in silence.

    Why: a conversation belongs to its directory; elsewhere it is another one.
    Source: measured with tmux 3.3 (`new-session -c` falls back to another directory).
    To do: create the directory, or correct the inventory.
    """
    finding = judge_directory(session)
    if finding is not None:
        raise Broken(finding)


def test_session_command_is_found(session: Session) -> None:
    """Every session's program can be executed, since nobody watches a start at boot.

    Why: `PATH` at a boot is not the one of a login. A script needs the interpreter that it names.
    Source: execve(2), execvp(3), systemd.exec(5).
    To do: install it, or write its full path in the session's `command`.
    """
    finding = judge_program(session, os.environ)
    if finding is not None:
        raise Broken(finding)


def test_session_folder_is_writable(session: Session, vm: Vm) -> None:
    """What Claude Code keeps of each session can be written, or it keeps no turn, in silence.

    Why: after one `sudo claude`, or one from a container, the folder of a project is root's: the
    session goes on, and nothing that is said in it is stored.
    Source: AutoMaker-Org/automaker#748. For sessions of Claude Code: the folder of the session's
    directory in `projects`; of its conversation the transcript there, and the folder in each other
    target. None of them need exist: Claude Code makes them. Two directories whose names differ only
    in characters that are neither letters nor digits have one folder: a warning.
    To do: what the failure's fix says, which gives them back to you.
    """
    links = vm.inventory.links
    judged = [link for link in links if link.name in vm.judged_targets]
    broken = {link.name for link in judged if vm.targets.fault(link) is not None}
    warn_of_alike(session, vm.alike, vm.warn)
    vm.expose(judge_folders(session, vm.inventory, broken))


def test_session_backend_is_there(backend: str, vm: Vm) -> None:
    """What keeps the sessions is there, or none of them could be started.

    Why: without tmux a session has no terminal, and Claude Code without `-p` ends within seconds.
    No server is started where others could reach the directory of its sockets.
    Source: what each backend starts, invariants/programs.py; measured with tmux 3.3 and four
    versions of Claude Code.
    To do: install it, let the manager run, or choose `backend = "auto"`.
    """
    for program in BACKEND_PROGRAMS[backend]:
        if find_program(program, "/", os.environ) is None:
            raise Broken(
                Finding(
                    invariant="session_backend_is_there",
                    state="missing",
                    expected=f"the program {program}, for backend = {backend!r}",
                    found="no such executable in PATH",
                    fix=look(
                        *("command", "-v", program),
                        note=f'install {program}, or set backend = "auto" in the inventory',
                    ),
                )
            )
    if backend == "process" and vm.inventory.settings.backend == "auto":
        vm.expose(judge_terminal(vm.inventory.sessions))
    uid = os.geteuid()
    if "tmux" in BACKEND_PROGRAMS[backend] and (unsafe := judge_sockets(uid)) is not None:
        raise Broken(unsafe)
    if backend == "systemd" and not manager_answers(manager_directory(uid)):
        whose = "of the system" if uid == 0 else f"of {user_name(uid)}"
        booted = look(
            *("ps", "-fp", "1"),
            note='boot with systemd, or set backend = "auto" in the inventory',
        )
        raise Broken(
            Finding(
                invariant="session_backend_is_there",
                state="no-manager",
                expected=f"the systemd manager {whose}, for backend = 'systemd'",
                found=f"nobody who answers at {manager_directory(uid)}/systemd/private",
                fix=booted if uid == 0 else quoted("loginctl", "enable-linger", user_name(uid)),
            )
        )
