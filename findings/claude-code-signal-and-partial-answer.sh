#!/usr/bin/env bash
# Claude Code `-p`: SIGINT keeps the part of an answer that has arrived, SIGTERM loses it.
#
# Behaviour: an answer is streamed, and the client has printed its first half. If SIGINT ends the
#   client, the transcript gets this half as a turn of the assistant with `isAbortedMidStream`, and
#   the exit code is 0. If SIGTERM ends it, the transcript has the prompt and nothing of the answer;
#   the exit code is 143. Both ends are orderly, so the process had time to write in either case.
# One would guess: both signals ask for an orderly end, so both keep the same; or the one with the
#   code of an interruption (143) keeps and marks what was interrupted, and 0 means a whole answer.
# Seen: @anthropic-ai/claude-code 2.1.332, Linux x86-64, 2026-12-01. 2.1.197 loses the half at both.
# Why it matters: `systemctl stop`, `docker stop` and `kill` send SIGTERM by default; a person presses
#   Ctrl-C. What a tester sees by hand is not what a service does: there the text, and what it cost,
#   is missing from every later `--resume`. A service that wants it kept must send SIGINT (systemd:
#   `KillSignal=SIGINT`). And code 0 does not say that an answer is whole: SIGINT ends with it too.
#
# The client talks to a stub on the loopback, which is its proxy too and refuses all other hosts.
# Exit code: 0 still so, 1 it has changed, 77 it cannot be tried. VERSION=2.1.197 tries another one.
set -euo pipefail

version=${VERSION:-2.1.332}
skip() { echo "cannot be tried: $*"; exit 77; }
for name in node npm python3; do
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

npm install --prefix "$here/client" --loglevel=error --no-audit --no-fund \
  "@anthropic-ai/claude-code@$version" >"$here/npm.log" 2>&1 ||
  { cat "$here/npm.log"; skip "npm does not install it"; }
said=$("$here/client/node_modules/.bin/claude" --version) || skip "it does not run here"
echo "node $(node --version), claude $said"

cat >"$here/try.py" <<'PY'
import json, os, signal, subprocess, sys, threading, uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

claude, here = sys.argv[1], Path(sys.argv[2])
FIRST, SECOND = "the first half ", "and the second"
released = threading.Event()


class Api(BaseHTTPRequestHandler):
    """Sends the first half of an answer, and the rest once `released` is set."""

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
        self.event("content_block_delta", index=0, delta={"type": "text_delta", "text": FIRST})
        released.wait()
        self.event("content_block_delta", index=0, delta={"type": "text_delta", "text": SECOND})
        self.event("content_block_stop", index=0)
        self.event("message_delta", delta={"stop_reason": "end_turn"}, usage=usage)
        self.event("message_stop")

    def event(self, kind, **more):
        data = json.dumps({"type": kind, **more})
        try:
            self.wfile.write(f"event: {kind}\ndata: {data}\n\n".encode())
        except OSError:
            pass  # the client has ended, as it was asked to

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
environ = {
    "PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(here),
    "CLAUDE_CONFIG_DIR": str(home / "claude"), "ANTHROPIC_API_KEY": "dummy", "ANTHROPIC_BASE_URL": url,
    "HTTPS_PROXY": url, "HTTP_PROXY": url, "NO_PROXY": "127.0.0.1", "DISABLE_AUTOUPDATER": "1",
    "DISABLE_TELEMETRY": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
}


def end_with(number):
    """Return the exit code, and what the transcript has of the answer: its text and its mark."""
    session = str(uuid.uuid4())
    process = subprocess.Popen(
        [claude, "-p", "hello", "--session-id", session, "--verbose",
         "--output-format", "stream-json", "--include-partial-messages"],
        cwd=work, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    watchdog = threading.Timer(120, process.kill)
    watchdog.start()
    if not any(FIRST in line for line in process.stdout):  # it has read and printed the half
        print("cannot be tried: the client ended before the answer, or waited for 120 s")
        sys.exit(77)
    process.send_signal(number)
    process.communicate()
    watchdog.cancel()
    (transcript,) = home.rglob(f"{session}.jsonl")
    turns = [json.loads(line) for line in transcript.read_text().splitlines()]
    assert any(turn["type"] == "user" for turn in turns), "the prompt is not in the transcript"
    kept = [(turn["message"]["content"][0].get("text"), turn.get("isAbortedMidStream"))
            for turn in turns if turn["type"] == "assistant"]
    print(f"{number.name}: exit code {process.returncode}, kept of the answer: {kept}", flush=True)
    return process.returncode, kept


seen = {number: end_with(number) for number in (signal.SIGINT, signal.SIGTERM)}
released.set()
(stopped, marked), (ended, nothing) = seen[signal.SIGINT], seen[signal.SIGTERM]
# The client may strip the blank at the end of what it keeps.
same = (stopped, ended) == (0, 143) and nothing == [] and [
    (text.strip(), mark) for text, mark in marked] == [(FIRST.strip(), True)]
print("as described" if same else "CHANGED")
sys.exit(0 if same else 1)
PY
python3 "$here/try.py" "$here/client/node_modules/.bin/claude" "$here"
