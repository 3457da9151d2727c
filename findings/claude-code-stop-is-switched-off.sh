#!/usr/bin/env bash
# Claude Code: the variable that forbids background sessions also forbids ending one.
#
# Behaviour: CLAUDE_CODE_DISABLE_AGENT_VIEW=1 switches background sessions off. A session that was
#   started before runs on. `claude stop JOB` refuses to end it in a shell with this variable (exit
#   code 1), and after a `kill -9` its daemon starts it again. `claude stop` without the variable
#   ends it for good.
# One would guess: a switch that forbids background sessions forbids starting them, and still lets
#   one end what was started before; or it ends them itself.
# Seen: @anthropic-ai/claude-code 2.1.332, Linux x86-64, 2026-12-01. 2.1.197 refuses too, but a
#   session that was killed had not come back after 90 s: this script says CHANGED then.
# Why it matters: an administrator sets the variable for all shells of a machine, or for a service,
#   because nobody watches background sessions there. From then on the command that ends those that
#   run fails in just these shells, and a kill looks as if it worked for some seconds. Such a session
#   goes on to write its conversation. A script that cleans up must take the variable out:
#   `env -u CLAUDE_CODE_DISABLE_AGENT_VIEW claude stop JOB`.
#
# The client talks to a stub on the loopback, which is its proxy too and refuses all other hosts.
# Exit code: 0 still so, 1 it has changed, 77 it cannot be tried. VERSION=X tries another one.
set -euo pipefail

version=${VERSION:-2.1.332}
skip() { echo "cannot be tried: $*"; exit 77; }
for name in node npm python3; do
  command -v "$name" >/dev/null || skip "$name is not installed"
done

here=$(mktemp -d)
finish() {  # a process that we started has our directory in its environment
  local environ again
  for again in 1 2 3; do  # a daemon may just be starting a worker
    for environ in /proc/[0-9]*/environ; do
      if grep -qsF "CLAUDE_CONFIG_DIR=$here/" "$environ"; then
        kill -9 "$(basename "$(dirname "$environ")")" 2>/dev/null || true
      fi
    done
  done
  # Its sockets are not below TMPDIR, but in a directory named after the hash of the home's path.
  rm -rf "$here" "/tmp/cc-daemon-$(id -u)/$(printf %s "$here/home" | sha256sum | cut -c1-8)"
}
trap finish EXIT

npm install --prefix "$here/client" --loglevel=error --no-audit --no-fund \
  "@anthropic-ai/claude-code@$version" >"$here/npm.log" 2>&1 ||
  { cat "$here/npm.log"; skip "npm does not install it"; }
said=$("$here/client/node_modules/.bin/claude" --version) || skip "it does not run here"
echo "node $(node --version), claude $said"

cat >"$here/try.py" <<'PY'
import json, os, subprocess, sys, threading, time, uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

claude, here = sys.argv[1], Path(sys.argv[2])


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
home, work = here / "home", here / "work"
home.mkdir(), work.mkdir()
(home / ".claude.json").write_text(json.dumps({
    "hasCompletedOnboarding": True, "theme": "dark",
    "customApiKeyResponses": {"approved": ["dummy"], "rejected": []},
    "projects": {str(work.resolve()): {"hasTrustDialogAccepted": True}}}))
environ = {
    "PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(here), "CLAUDE_CONFIG_DIR": str(home),
    "ANTHROPIC_API_KEY": "dummy", "ANTHROPIC_BASE_URL": url, "HTTPS_PROXY": url, "HTTP_PROXY": url,
    "NO_PROXY": "127.0.0.1", "DISABLE_AUTOUPDATER": "1", "DISABLE_TELEMETRY": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "TERM": "xterm-256color",
    "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL": "1"}
FORBIDDEN = {"CLAUDE_CODE_DISABLE_AGENT_VIEW": "1"}


def run(*words, **more):
    try:
        done = subprocess.run([claude, *words], cwd=work, env={**environ, **more}, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    except subprocess.TimeoutExpired as error:
        print(f"cannot be tried: {error}")
        sys.exit(77)
    shown = " ".join(f"{name}={value}" for name, value in more.items())
    said = (done.stdout + done.stderr).strip().splitlines() or [""]
    print(f"{shown} claude {' '.join(words)}: exit code {done.returncode}, {said[0]}".strip(), flush=True)
    return done.returncode


def workers():
    """Return the process of each job that has noted itself and is alive."""
    found = {}
    for path in (home / "sessions").glob("*.json"):
        try:
            note = json.loads(path.read_text())
        except (OSError, ValueError):
            continue  # it is being written, or was removed
        if note.get("kind") == "bg" and Path(f"/proc/{note['pid']}/stat").exists():
            found[note["jobId"]] = note["pid"]
    return found


def wait(condition, seconds=90.0):
    """Return whether *condition* comes true in time."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def expect(true, what):
    if not true:
        print(f"CHANGED: not so: {what}")
        sys.exit(1)
    print(what, flush=True)


if run("--bg", "say ok") != 0 or not wait(workers):
    print("cannot be tried: no background session runs")
    print(*(path.read_text() for path in home.glob("daemon.log")))
    sys.exit(77)
((job, first),) = workers().items()
refused = run("stop", job, **FORBIDDEN)
expect(refused == 1 and workers().get(job) == first, f"worker {first} still runs")
os.kill(first, 9)
expect(wait(lambda: workers().get(job, first) != first), f"it was killed, and is back: {workers()}")
expect(run("stop", job, **FORBIDDEN) == 1 and job in workers(), "and still runs")
expect(run("stop", job) == 0 and wait(lambda: job not in workers()), "it has ended")
expect(not wait(lambda: job in workers(), 20), "and does not come back within 20 s")
print("as described")
PY
python3 "$here/try.py" "$here/client/node_modules/.bin/claude" "$here"
