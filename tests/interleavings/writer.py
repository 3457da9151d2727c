"""A stand-in for Claude Code that holds a lock from its start to its end, and writes turns.

The exclusive lock (flock(2)) on one file for each conversation shows two writers at any moment,
however short: the second one cannot take it, and writes that into the file ``two``. It keeps to
what was measured of the client (field notes 1): ids, the transcript, the note of the process.
Like the client it goes on when another one writes, and may write a last turn when it is ended.

Under another name it is a program that is no Claude Code: it has no conversation, and holds the
lock all the same. A file ``silent`` beside it lets it write no turn, as a client to which nobody
says anything, and ``once`` only the first one.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path

from tests import client
from tests.vm import Vm, pids

_SCRIPT = """\
#!{python} -ISB
import fcntl, os, sys
words = sys.argv[1:]
words = words[2:] if words[0] == "--settings" else words  # the launcher's own
option, conversation = words[:2]
place, home = os.path.dirname(os.path.abspath(__file__)), os.environ["CLAUDE_CONFIG_DIR"]
lock = os.open(f"{{place}}/locks/{{conversation}}", os.O_RDWR | os.O_CREAT, 0o600)

def append(path, line):
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, line.encode() + b"\\n")
    os.close(file)

try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    append(f"{{place}}/two", f"TWO: {{option}} {{conversation}} in {{home}}, pid {{os.getpid()}}")

import glob, json, random, re, signal, time
ends, asks = {{signal.SIGTERM, signal.SIGHUP, signal.SIGINT}}, {{signal.SIGUSR1}}
signal.pthread_sigmask(signal.SIG_SETMASK, ends | asks)
if option == "--tool":  # no Claude Code
    signal.sigwait(ends)
    time.sleep(random.uniform(0, 0.3))
    sys.exit(0)
found = glob.glob(f"{{home}}/projects/*/{{conversation}}.jsonl")
if option == "--session-id" and found:
    sys.exit(f"Session ID {{conversation}} is already in use")
if option == "--resume" and not any("user" in open(one).read() for one in found):
    sys.exit(f"No conversation found with session ID: {{conversation}}")
folder = re.sub("[^A-Za-z0-9]", "-", os.getcwd())
transcript = f"{{home}}/projects/{{folder}}/{{conversation}}.jsonl"
os.makedirs(os.path.dirname(transcript), exist_ok=True)
os.makedirs(f"{{home}}/sessions", exist_ok=True)
turns = 0

def turn():
    global turns
    if os.path.exists(f"{{place}}/silent") or (turns and os.path.exists(f"{{place}}/once")):
        return
    turns += 1
    name = f"{{os.getpid()}}-{{turns}}-{{os.urandom(4).hex()}}"
    append(transcript, json.dumps({{"type": "user", "turn": name, "home": home}}))
    append(f"{{place}}/turns/{{conversation}}", name)  # afterwards: these are surely written

turn()
time.sleep(random.uniform(0, 0.2))  # the client needs a while to its prompt
with open("/proc/self/stat") as file:
    start = file.read().rpartition(")")[2].split()[19]
note = f"{{home}}/sessions/{{os.getpid()}}.json"
noted = {{"pid": os.getpid(), "procStart": start, "sessionId": conversation, "status": "idle"}}
with open(note, "w") as file:
    json.dump(noted | {{"cwd": os.getcwd(), "status": "idle"}}, file)
while (caught := signal.sigtimedwait(ends | asks, random.uniform(0.1, 0.5))) is None or (
    caught.si_signo in asks
):
    turn()
time.sleep(random.uniform(0, 0.3))
if random.random() < 0.5:
    turn()
os.unlink(note)
time.sleep(random.uniform(0, 0.1))
sys.exit(128 + caught.si_signo)
"""


def install(vm: Vm) -> Path:
    """Write the stand-in, called ``claude``, beside *vm*, and make every home fit for it."""
    for folder in ("locks", "turns"):
        (vm.root / folder).mkdir()
    script = _SCRIPT.format(python=sys.executable)
    program = client.put(vm.root / "claude", script)
    (vm.root / "tool").write_text(script)
    (vm.root / "tool").chmod(0o700)
    for account in vm.accounts:
        client.make_fit(vm, account)
    return program


def tool(vm: Vm, session: str) -> list[str]:
    """Return the command of a *session* that runs no Claude Code, and has its name for an id."""
    return [str(vm.root / "tool"), "--tool", session]


def second_writers(vm: Vm) -> list[str]:
    """Return a line for each stand-in that found its conversation open."""
    path = vm.root / "two"
    return path.read_text().splitlines() if path.exists() else []


def lost_turns(vm: Vm) -> list[str]:
    """Return what is wrong with the transcripts: a line for each turn or file that is."""
    # Before the transcripts: what runs goes on writing, a turn into its transcript first.
    turns = {path.name: path.read_text() for path in sorted((vm.root / "turns").iterdir())}
    wrong = []
    transcripts: dict[str, list[Path]] = {}
    for path in sorted(vm.target("projects").glob("*/*.jsonl")):
        if not path.is_symlink():  # a launcher's, so that a client finds it in another folder
            transcripts.setdefault(path.stem, []).append(path)
    for name, paths in transcripts.items():
        if len(paths) > 1:
            wrong.append(f"{name} has {len(paths)} transcripts: {', '.join(map(str, paths))}")
    for name, written in turns.items():
        kept: Counter[str] = Counter()
        for path in transcripts.get(name, []):
            kept.update(json.loads(line)["turn"] for line in path.read_text().splitlines())
        for turn in written.splitlines():
            if kept[turn] != 1:
                wrong.append(f"turn {turn} is {kept[turn]} times in the transcript {name}")
    return wrong


def live(vm: Vm) -> dict[str, list[tuple[int, str]]]:
    """Return the stand-ins that run: pid and home, by the conversation or name they were given."""
    found: dict[str, list[tuple[int, str]]] = {}
    programs = {str(vm.root / name) for name in ("claude", "tool")}
    for pid in pids():
        words = _words(pid, "cmdline")  # interpreter, its options, the script, option, id
        if len(words) < 5 or words[2] not in programs:
            continue
        at = 6 if words[3] == "--settings" else 4  # the launcher's own, which `run` puts first
        environ = dict(word.partition("=")[::2] for word in _words(pid, "environ"))
        home = Path(environ.get("CLAUDE_CONFIG_DIR", "?")).name
        found.setdefault(words[at], []).append((pid, home))
    return found


def _words(pid: int, file: str) -> list[str]:
    try:
        return os.fsdecode(Path(f"/proc/{pid}/{file}").read_bytes()).split("\0")[:-1]
    except OSError:  # it has ended
        return []
