"""What 20 sessions in tmux cost: ``launcher up``, beside ``tmuxp load -d`` of the same.

Counted for ``launcher up`` is the time from its green verdict, as the report tells, to its end,
when every session has been seen alive. The time that a session must live to count as up
(``settle``, a second by default) is a choice of the operator's and set to 0 here, since tmuxp
looks at nothing after the start; ``--settle`` sets another. tmux's server is nobody's child, so
CPU seconds here are those of the callers alone. Then ``launcher up`` where all of them run
already, over ``launcher check``.

    python -m benchmarks.sessions --sessions 20 --runs 15
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks.peer_environment import PeerMissing, peer_program
from benchmarks.side_by_side import (
    Contestant,
    Goal,
    Outcome,
    Run,
    arguments,
    in_turn,
    launcher,
    run,
)
from benchmarks.vms import Vm, built

UP, TMUXP, AGAIN, CHECK = (
    "launcher up, from green",
    "tmuxp load -d",
    "launcher up",
    "launcher check",
)
GOALS_OF_STARTS = (
    Goal("`launcher up`, green to all seen alive, over `tmuxp load -d`", UP, TMUXP, 0.5),
)
GOALS_OF_AGAIN = (
    Goal("`launcher up` when all run already, over `launcher check`", AGAIN, CHECK, 1.15),
)


def starts(vm: Vm, names: Sequence[str], outcome: Outcome) -> dict[str, Contestant]:
    """Return who starts the sessions *names*, each time from none."""
    command = [launcher(), "--inventory", str(vm.inventory)]

    def up() -> Run:
        run([*command, "down"], environ=vm.environ)
        whole = run([*command, "up"], environ=vm.environ)
        ended = time.time()
        report = json.loads((vm.root / "state" / "report.json").read_bytes())["failover"]
        if [one["state"] for one in report["sessions"]] != ["started"] * len(names):
            raise SystemExit(f"not all sessions were started: {report['sessions']}")
        return whole._replace(seconds=ended - report["finished"])

    found: dict[str, Contestant] = {UP: up}
    try:
        tmuxp = peer_program("tmuxp")
    except PeerMissing as error:
        outcome.missing.append(f"tmuxp: {error}")
        return found
    socket = str(vm.root / "tmuxp.socket")
    files = [str(_tmuxp_file(vm, name)) for name in names]

    def load() -> Run:
        stop_server(socket)
        seen = run([tmuxp, "load", "-y", "-d", "-S", socket, *files], environ=vm.environ)
        listed = subprocess.run(["tmux", "-S", socket, "list-sessions"], capture_output=True)
        if len(listed.stdout.splitlines()) != len(names):
            raise SystemExit(f"tmuxp did not start all sessions: {listed.stdout.decode()}")
        return seen

    found[TMUXP] = load
    return found


def _tmuxp_file(vm: Vm, name: str) -> object:
    """Write what tmuxp takes for one session: the same program, directory and environment."""
    path = vm.root / f"{name}.json"
    window = {"window_name": name, "window_shell": "sleep 86400", "panes": [None]}
    document = {
        "session_name": name,
        "start_directory": str(vm.root),
        "environment": {"CLAUDE_CONFIG_DIR": str(vm.home(0))},
        "windows": [window],
    }
    path.write_text(json.dumps(document))
    return path


def stop_server(socket: str) -> None:
    """End the tmux server at *socket* with all its sessions, if there is one."""
    subprocess.run(["tmux", "-S", socket, "kill-server"], capture_output=True, check=False)


def measure(count: int, runs: int, settle: float, outcome: Outcome) -> None:
    """Measure with *count* sessions, and leave none behind."""
    names = [f"session{number}" for number in range(count)]
    with built(2, names, settle) as vm:
        command = [launcher(), "--inventory", str(vm.inventory)]
        again: dict[str, Contestant] = {
            AGAIN: lambda: run([*command, "up"], environ=vm.environ),
            CHECK: lambda: run([*command, "check"], environ=vm.environ),
        }
        try:
            outcome.add(in_turn(starts(vm, names, outcome), runs), GOALS_OF_STARTS, at=count)
            outcome.add(in_turn(again, runs), GOALS_OF_AGAIN, at=count)
        finally:
            run([*command, "down"], environ=vm.environ, codes=range(256))
            stop_server(str(vm.root / "tmuxp.socket"))


def main() -> int:
    """Measure, and tell."""
    parser = arguments(__doc__)
    parser.add_argument("--sessions", type=int, nargs="+", default=[5, 10, 20])
    parser.add_argument(
        "--settle", type=float, default=0.0, help="seconds; the default is %(default)s"
    )
    options = parser.parse_args()
    outcome = Outcome("sessions")
    if shutil.which("tmux") is None:
        outcome.missing.append("all of it: tmux is not installed")
        return outcome.tell(options.json)
    for count in options.sessions:
        outcome.missing.clear()
        measure(count, options.runs, options.settle, outcome)
    return outcome.tell(options.json)


if __name__ == "__main__":
    sys.exit(main())
