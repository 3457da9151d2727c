#!/usr/bin/env bash
# Claude Code 2.1.150: right after `--resume ID` its note names a conversation that is not ID.
#
# Behaviour: a client in a terminal notes itself in `sessions/PID.json` of its home. After
#   `--resume ID` the first note has a fresh `sessionId` and no `status`. 0.1 s later (up to 0.9 s on
#   a busy machine) the file names ID, and a `status` follows. No transcript has the first id.
# One would guess: a file that is written once the client knows what it does, so that it is right
#   as soon as it can be parsed. The first note is whole and valid: nothing marks it as premature.
# Seen: @anthropic-ai/claude-code 2.1.150, Linux x86-64, tmux 3.3a, 2026-12-01. With 2.1.332 each
#   note that can be read names ID: this script runs both.
# Why it matters: the note is the only cheap way to ask which conversation a process writes. Whoever
#   reads it as soon as it is there concludes that the process took up another conversation: it
#   kills it, starts ID a second time, or records a conversation that will never exist. Believe a
#   note of 2.1.150 only once it has a `status`.
#
# The client talks to a stub on the loopback, which is its proxy too and refuses all other hosts.
# Exit code: 0 still so, 1 it has changed, 77 it cannot be tried. EARLY=X and RIGHT=Y try others.
set -euo pipefail

early=${EARLY:-2.1.150} right=${RIGHT:-2.1.332}
skip() { echo "cannot be tried: $*"; exit 77; }
for name in node npm python3 tmux; do
  command -v "$name" >/dev/null || skip "$name is not installed"
done

here=$(mktemp -d)
finish() {  # a process that we started has our directory in its environment
  local environ
  for environ in /proc/[0-9]*/environ; do
    if grep -qsF "CLAUDE_CONFIG_DIR=$here/" "$environ"; then
      kill -9 "$(basename "$(dirname "$environ")")" 2>/dev/null || true
    fi
  done
  rm -rf "$here"
}
trap finish EXIT

for version in "$early" "$right"; do
  npm install --prefix "$here/$version" --loglevel=error --no-audit --no-fund \
    "@anthropic-ai/claude-code@$version" >"$here/npm.log" 2>&1 ||
    { cat "$here/npm.log"; skip "npm does not install $version"; }
done
echo "node $(node --version), $(tmux -V)"

cat >"$here/try.py" <<'PY'
import json, os, shlex, subprocess, sys, threading, time, uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

here, early, right = Path(sys.argv[1]), sys.argv[2], sys.argv[3]


class Api(BaseHTTPRequestHandler):
    """Answers each streamed request with `ok`."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if not asked.get("stream"):
            return self.send_error(404)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        usage = {"input_tokens": 9, "output_tokens": 1}
        message = {"id": f"msg_{uuid.uuid4().hex}", "type": "message", "role": "assistant",
                   "model": asked["model"], "content": [], "stop_reason": None, "usage": usage}
        self.event("message_start", message=message)
        self.event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        self.event("content_block_delta", index=0, delta={"type": "text_delta", "text": "ok"})
        self.event("content_block_stop", index=0)
        self.event("message_delta", delta={"stop_reason": "end_turn"}, usage=usage)
        self.event("message_stop")

    def event(self, kind, **more):
        self.wfile.write(f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n".encode())

    def do_GET(self):
        self.send_error(404)

    do_HEAD = do_CONNECT = do_GET

    def log_message(self, *_):
        pass


api = ThreadingHTTPServer(("127.0.0.1", 0), Api)
api.daemon_threads = True
threading.Thread(target=api.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{api.server_port}"
work = here / "work"
work.mkdir()


def skip(reason):
    print(f"cannot be tried: {reason}")
    sys.exit(77)


def notes_of(version):
    """Resume a conversation in a terminal; return what its note says: (is it ID, has it a status)."""
    claude = str(here / version / "node_modules/.bin/claude")
    home = here / f"home-{uuid.uuid4().hex[:8]}"
    home.mkdir()
    (home / ".claude.json").write_text(json.dumps({
        "hasCompletedOnboarding": True, "theme": "dark",
        "customApiKeyResponses": {"approved": ["dummy"], "rejected": []},
        "projects": {str(work.resolve()): {"hasTrustDialogAccepted": True}}}))
    environ = {
        "PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(here), "TERM": "xterm-256color",
        "LANG": "C.UTF-8", "CLAUDE_CONFIG_DIR": str(home), "ANTHROPIC_API_KEY": "dummy",
        "ANTHROPIC_BASE_URL": url, "HTTPS_PROXY": url, "HTTP_PROXY": url, "NO_PROXY": "127.0.0.1",
        "DISABLE_AUTOUPDATER": "1", "DISABLE_TELEMETRY": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL": "1"}
    session = str(uuid.uuid4())
    try:
        first = subprocess.run([claude, "-p", "hello", "--session-id", session], cwd=work, env=environ,
                               stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired as error:
        skip(str(error))
    if first.returncode != 0:
        skip(f"the first turn of {version} failed: {first.stdout}{first.stderr}")
    tmux = ["tmux", "-S", str(here / "t"), "-f", "/dev/null"]
    subprocess.run([*tmux, "new-session", "-d", "-x", "120", "-y", "40", "-c", str(work),
                    f"exec {shlex.join([claude, '--resume', session])}"], env=environ, check=True)
    seen, began, until = [], 0.0, time.monotonic() + 60
    while time.monotonic() < until and not (seen and seen[-1][1]):
        for path in (home / "sessions").glob("*.json"):
            try:
                note = json.loads(path.read_text())
            except (OSError, ValueError):
                continue  # it is being written
            what = (note["sessionId"] == session, "status" in note)
            if not seen or seen[-1] != what:
                began = began or time.monotonic()
                seen.append(what)
                print(f"{version}, {time.monotonic() - began:.2f} s after its first note:",
                      "it names", "ID" if what[0] else f"another id ({note['sessionId'][:8]}…)",
                      "with a status" if what[1] else "without a status", flush=True)
        time.sleep(0.001)
    if not seen or not seen[-1][1]:
        screen = subprocess.run([*tmux, "capture-pane", "-p"], capture_output=True, text=True)
        skip(f"{version} has no note with a status after 60 s; its terminal shows\n{screen.stdout}")
    subprocess.run([*tmux, "kill-server"], check=True)
    assert sorted(path.stem for path in (home / "projects").rglob("*.jsonl")) == [session]
    return seen


# A busy machine may not look in between: a few starts, and one that shows it is enough.
premature = (False, False)
shown = any(notes_of(early)[0] == premature for _ in range(4))
clean = all(ours for _ in range(3) for ours, _ in notes_of(right))
if not shown:
    print(f"CHANGED: {early} names ID at once")
if not clean:
    print(f"CHANGED: {right} names another id")
if shown and clean:
    print("as described")
sys.exit(0 if shown and clean else 1)
PY
python3 "$here/try.py" "$here" "$early" "$right"
