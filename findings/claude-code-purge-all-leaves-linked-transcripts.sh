#!/usr/bin/env bash
# Claude Code: `claude purge --all` of a home whose `projects` is a symlink deletes no transcript.
#
# Behaviour: with --all the entries `projects` and `file-history` of the home are removed themselves.
#   Where they are symlinks, the symlinks go, and all that is behind them stays. The command says how
#   much it has deleted and ends with 0. `claude purge DIRECTORY` deletes through the same symlinks.
# One would guess: both delete what the client reads and writes by these paths; or both spare what
#   is behind a symlink, and say so.
# Seen: @anthropic-ai/claude-code@2.1.332 (also 2.1.197 and 2.1.150, there `claude project purge`),
#   Linux x86-64, 2026-12-01.
# Why it matters: homes that share a directory of conversations, or keep it on another disk, are
#   linked like this. Whoever purges everything, before a machine is given away or because a secret
#   was pasted, still has every transcript, and a client that makes a new `projects` beside them.
#   Whoever purges one directory deletes it for every home that shares it.
#
# No request leaves the machine. Exit code: 0 still so, 1 it has changed, 77 it cannot be tried.
# VERSION=X tries another one.
set -euo pipefail

version=${VERSION:-2.1.332}
skip() { echo "cannot be tried: $*"; exit 77; }
for name in node npm; do
  command -v "$name" >/dev/null || skip "$name is not installed"
done

here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
npm install --prefix "$here/client" --loglevel=error --no-audit --no-fund \
  "@anthropic-ai/claude-code@$version" >"$here/npm.log" 2>&1 ||
  { cat "$here/npm.log"; skip "npm does not install it"; }
claude() {
  env -i PATH="$PATH" HOME="$here/home" CLAUDE_CONFIG_DIR="$here/home" DISABLE_AUTOUPDATER=1 \
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 HTTPS_PROXY=http://127.0.0.1:9 \
    "$here/client/node_modules/.bin/claude" "$@" </dev/null
}
said=$(claude --version) || skip "it does not run here"
echo "node $(node --version), claude $said"

work=$here/work
conversation=0b8ee6f5-9c7e-4f5a-9d3e-0a3c1f0c1a11
transcript=$here/shared/projects/$(printf %s "$work" | sed 's/[^A-Za-z0-9]/-/g')/$conversation.jsonl
mkdir -p "$work" "$(dirname "$transcript")" "$here/shared/file-history" "$here/home"
fill() {
  mkdir -p "$(dirname "$transcript")"
  printf '{"type":"user","sessionId":"%s","cwd":"%s","message":{"role":"user","content":"hello"}}\n' \
    "$conversation" "$work" >"$transcript"
  ln -sfn "$here/shared/projects" "$here/home/projects"
  ln -sfn "$here/shared/file-history" "$here/home/file-history"
}

changed=0
expect() { if eval "$2"; then echo "$1"; else echo "CHANGED: not so: $1"; changed=1; fi; }
fill
echo "\$ claude project purge --all --yes"
claude project purge --all --yes | tail -n 3
expect "the symlink projects is gone" '[ ! -L "$here/home/projects" ]'
expect "the transcript is still there" '[ -s "$transcript" ]'
fill
echo "\$ claude project purge $work --yes"
claude project purge "$work" --yes | tail -n 3
expect "the symlink projects is still there" '[ -L "$here/home/projects" ]'
expect "the transcript is gone" '[ ! -e "$transcript" ]'
exit $changed
