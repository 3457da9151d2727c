"""A stand-in for Claude Code that keeps to what was measured of it: ids, transcripts, notes.

``tests/claude`` runs the same scenarios with the real one. What it does under an account can be
changed by files in that account's home: ``refuse`` (it ends at once), ``weary`` (after a second,
without a prompt), ``mute`` (it never is at its prompt), ``deaf`` (it ignores SIGTERM), ``stray``
(it goes over to that other conversation), ``quiet`` (nobody says anything: it has no transcript).
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from tests.vm import Vm

_SCRIPT = """\
#!/bin/sh
home=$CLAUDE_CONFIG_DIR option=$1 id=$2
test "$option" != stop || exec sh "$home/daemon/stop" "$id"
file=$home/projects/$(pwd -P | sed 's/[^A-Za-z0-9]/-/g')/$id.jsonl
case $option in
    --session-id) test ! -e "$file" || { echo "Session ID $id is already in use"; exit 1; } ;;
    --resume) grep -q '"user"' "$file" || { echo "No conversation found"; exit 1; } ;;
    *) echo "no conversation" ;;
esac
test ! -e "$home/refuse" || { echo 'words of the client'; exit 1; }
test ! -e "$home/weary" || { echo 'tired words'; sleep 1; exit 1; }
mkdir -p "${file%/*}" "$home/sessions"
note=$home/sessions/$$.json
trap 'rm -f "$note"; kill $!; exit 143' TERM
test ! -e "$home/deaf" || trap '' TERM
test -e "$home/quiet" || echo '{"type":"user","home":"'"$home"'"}' >>"$file"
test ! -e "$home/stray" || read -r id <"$home/stray"
own='"procStart":"'$(cut -d' ' -f22 /proc/$$/stat)'"'
test ! -e "$home/fresh" || { read -r new <"$home/fresh"
    echo "{$own"',"sessionId":"'"$new"'"}' >"$note"; sleep 0.5; }
echo "{$own"',"sessionId":"'"$id"'","status":"idle"}' >"$note.new"
test -e "$home/mute" && rm "$note.new" || mv "$note.new" "$note"
while :; do sleep 600 & wait $!; done
"""


def install(vm: Vm) -> Path:
    """Write the stand-in beside *vm*, and make every home fit for it; return its path."""
    program = put(vm.root / "claude", _SCRIPT)
    for account in vm.accounts:
        make_fit(vm, account)
    return program


def put(program: Path, script: str) -> Path:
    """Make *script* the program that Claude Code's own installer would have put there; return it.

    It keeps the versions elsewhere, and *program* is a symlink. At any other place a script counts
    as a wrapper, which may have options of its own.
    """
    real = program.parent / ".local" / "share" / "claude" / "versions" / "2.1.332"
    real.parent.mkdir(parents=True)
    real.write_text(script)
    real.chmod(0o755)
    program.symlink_to(real)
    return program


def make_fit(vm: Vm, account: str) -> None:
    """Let a home be logged in, onboarded, and trust the VM's directory."""
    state = {
        "hasCompletedOnboarding": True,
        "projects": {str(vm.root): {"hasTrustDialogAccepted": True}},
    }
    login = {"accessToken": f"key-of-{account}", "scopes": ["user:inference"]}
    _write(vm.home(account) / ".claude.json", state)
    _write(vm.home(account) / ".credentials.json", {"claudeAiOauth": login})


def transcripts(vm: Vm) -> dict[str, list[str]]:
    """Return who has written each transcript, in order: names of homes, by the id."""
    return {
        path.stem: [Path(json.loads(line)["home"]).name for line in path.read_text().splitlines()]
        for path in sorted(vm.target("projects").glob("*/*.jsonl"))
    }


def notes(vm: Vm, account: str) -> dict[int, str]:
    """Return the conversations that processes have noted in a home, by pid."""
    noted = {}
    for path in (vm.home(account) / "sessions").glob("*.json"):
        with suppress(
            FileNotFoundError, json.JSONDecodeError
        ):  # its process writes or ends just now
            noted[int(path.stem)] = json.loads(path.read_text())["sessionId"]
    return noted


def _write(path: Path, document: object) -> None:
    path.write_text(json.dumps(document))
    path.chmod(0o600)
