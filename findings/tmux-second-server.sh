#!/usr/bin/env bash
# tmux: after its socket file is gone, `new-session -s NAME` starts a second server, and a second NAME.
#
# Behaviour: a tmux server keeps running if its socket file is removed, and no
#   client finds it then. The next `new-session` with the same -L label starts another server. There
#   are then two sessions with one name, and each server refuses a duplicate of its own only.
#   SIGUSR1 makes the first server create its socket again. It takes the path away from the second
#   server, which is now the one that nobody can reach. `kill-server` ends only the one in front.
# One would guess: a session's name is unique for a label, since tmux refuses `duplicate session`;
#   `has-session` that fails means that nothing runs; and SIGUSR1 repairs without a side effect.
# Seen: tmux 3.3a (Debian 12, package 3.3a-3), 2026-12-01: as described, each time. All commands
#   return 0 and print nothing.
# Why it matters: whoever cleans TMUX_TMPDIR by age (systemd-tmpfiles, tmpreaper) removes sockets
#   of live servers. A supervisor that asks `has-session` and starts what is missing then runs the
#   program twice: two writers, one of them invisible. It must know its program by its process, and
#   look for a second server before it sends SIGUSR1.
#
# Exit code: 0 still so, 1 it has changed, 77 it cannot be tried. PACKAGE=tmux=VERSION: what to try.
set -euo pipefail

skip() { echo "cannot be tried: $*"; exit 77; }
changed() { echo "CHANGED: $*"; exit 1; }

command -v apt-get >/dev/null && command -v dpkg >/dev/null || skip "this is no Debian"
here=$(mktemp -d)
servers=()
finish() {
  local pid
  for pid in "${servers[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
  rm -rf "$here"
}
trap finish EXIT

# Debian's package, unpacked and not installed; its libraries are those of the machine.
package=${PACKAGE:-tmux=3.3a-3}
mkdir -m 755 "$here/deb"
(cd "$here/deb" && apt-get -o APT::Sandbox::User=root download -qq "$package") || skip "apt-get cannot download $package"
dpkg -x "$here"/deb/tmux_*.deb "$here/tmux"
tmux=$here/tmux/usr/bin/tmux
version=$("$tmux" -V) || skip "it does not run here"
echo "$package: $version"

# The label, not a path: this is how people run tmux. Its directory is ours.
tmux_() { env -u TMUX TMUX_TMPDIR="$here" "$tmux" -L work -f /dev/null "$@"; }
start() { tmux_ new-session -d -s api 'exec sleep 600'; }
server() { tmux_ display-message -p '#{pid}'; }
runs() { [ -e "/proc/$1" ] && ! grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }
until_() {  # wait up to 30 s until the command succeeds
  local turn
  for turn in $(seq 300); do "$@" && return; sleep 0.1; done
  changed "not within 30 s: $*"
}
reaches() { [ "$(server 2>/dev/null)" = "$1" ]; }
ended() { ! runs "$1"; }

start
first=$(server); servers+=("$first")
if start 2>"$here/refusal"; then changed "a duplicate is accepted by one server"; fi
echo "the same name again, socket in place: $(<"$here/refusal")"

rm "$(tmux_ display-message -p '#{socket_path}')"
if tmux_ has-session -t =api 2>"$here/refusal"; then changed "has-session finds a server without a socket"; fi
echo "has-session, socket removed: $(<"$here/refusal")"

start || changed "new-session is refused while the first server lives"
second=$(server); servers+=("$second")
[ "$first" != "$second" ] || changed "there is only one server"
runs "$first" || changed "the first server has ended"
echo "the same name again, socket removed: accepted; servers $first and $second, each with a session api"

kill -USR1 "$first"
until_ reaches "$first"
runs "$second" || changed "the second server ended at the first one's SIGUSR1"
echo "after SIGUSR1 to $first: the label reaches $first, and $second still runs"

tmux_ kill-server
until_ ended "$first"
servers=("$second")
runs "$second" || changed "kill-server ended both"
if tmux_ has-session 2>/dev/null; then changed "the second server is reachable again"; fi
echo "after kill-server: $first has ended, $second still runs, and no client reaches it"
echo "as described"
