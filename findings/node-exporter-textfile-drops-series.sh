#!/usr/bin/env bash
# node_exporter: of two textfiles with one metric family it drops series, and says that all is well.
#
# Behaviour: the textfile collector reads all files of its directory as one set of metrics. If a series (a
#   name and its labels) is in two files, the first file by name wins. If a family has another HELP
#   text in the second file, all series of that family in the second file are dropped, whatever their
#   labels are. The scrape is HTTP 200 in both cases, node_textfile_scrape_error is 0, both files
#   have a node_textfile_mtime_seconds, and the log alone says what was dropped.
# One would guess: files are merged as Prometheus merges targets; HELP is a comment; and
#   node_textfile_scrape_error, for which there are ready-made alerts, tells of series that are lost.
# Seen: node_exporter 1.5.0 (Debian 12, package 1.5.0-1+b6), 2026-12-01: as described, each time.
#   Upstream knows of it: prometheus/node_exporter issue 2317.
# Why it matters: two programs of one kind on a machine, two users of one program, or the old and the new
#   version of a program write the same families. Whose file comes first by name hides the other's,
#   and an alert on a value never fires for a series that is not there. Each writer needs a label of
#   its own in every series, HELP texts that never change, and an alert on absence for each label value.
#
# Exit code: 0 still so, 1 it has changed, 77 it cannot be tried.
# PACKAGE=prometheus-node-exporter=VERSION: what to try.
set -euo pipefail

skip() { echo "cannot be tried: $*"; exit 77; }
changed() { echo "CHANGED: $*"; exit 1; }

command -v apt-get >/dev/null && command -v dpkg >/dev/null || skip "this is no Debian"
command -v curl >/dev/null || skip "curl is not installed"
here=$(mktemp -d)
exporter=
finish() {
  if [ -n "$exporter" ]; then kill "$exporter" 2>/dev/null || true; fi
  rm -rf "$here"
}
trap finish EXIT

# Debian's package, unpacked and not installed.
package=${PACKAGE:-prometheus-node-exporter=1.5.0-1+b6}
mkdir -m 755 "$here/deb" "$here/files"
(cd "$here/deb" && apt-get -o APT::Sandbox::User=root download -qq "$package") || skip "apt-get cannot download $package"
dpkg -x "$here"/deb/prometheus-node-exporter_*.deb "$here/unpacked"
program=$here/unpacked/usr/bin/prometheus-node-exporter
"$program" --version 2>&1 | head -n 1 || skip "it does not run here"

file() {  # NAME HELP SERIES VALUE
  printf '# HELP job_failed %s\n# TYPE job_failed gauge\n%s %d\n' "$2" "$3" "$4" > "$here/files/$1.prom"
}
serve() {  # start it on a port that the kernel chooses; its log names the port
  "$program" --web.listen-address=127.0.0.1:0 --collector.disable-defaults --collector.textfile \
    --collector.textfile.directory="$here/files" > "$here/log" 2>&1 &
  exporter=$!
  local turn
  for turn in $(seq 300); do
    port=$(sed -n 's/.*Listening on.*address=127\.0\.0\.1:\([0-9]*\).*/\1/p' "$here/log")
    [ -n "$port" ] && return
    sleep 0.1
  done
  changed "it does not listen within 30 s: $(<"$here/log")"
}
scrape() {  # into $here/out; all must look well
  local code
  code=$(curl -s -o "$here/out" -w '%{http_code}' "http://127.0.0.1:$port/metrics")
  [ "$code" = 200 ] || changed "the scrape is HTTP $code"
  grep -qx 'node_textfile_scrape_error 0' "$here/out" || changed "node_textfile_scrape_error tells of it"
  [ "$(grep -c '^node_textfile_mtime_seconds{' "$here/out")" = 2 ] || changed "a file has no mtime"
  echo "  HTTP 200, node_textfile_scrape_error 0, and of job_failed:"
  grep '^job_failed' "$here/out" | sed 's/^/    /'
}
has() { grep -qxF "$1" "$here/out" || changed "it is not there: $1"; }
lacks() { if grep -qF "$1" "$here/out"; then changed "it is there: $1"; fi; }

serve
echo "one series in two files, 0 in a.prom and 1 in b.prom:"
file a 'Whether the job failed.' 'job_failed' 0
file b 'Whether the job failed.' 'job_failed' 1
scrape
has 'job_failed 0'
lacks 'job_failed 1'
grep -q 'was collected before' "$here/log" || changed "the log does not say so"

echo "two series, and two HELP texts:"
file a 'Whether the job failed.' 'job_failed{user="a"}' 0
file b '1 if the job failed.' 'job_failed{user="b"}' 1
scrape
has 'job_failed{user="a"} 0'
lacks 'user="b"'
grep -q 'but should have' "$here/log" || changed "the log does not say so"

echo "two series, and one HELP text:"
file b 'Whether the job failed.' 'job_failed{user="b"}' 1
scrape
has 'job_failed{user="a"} 0'
has 'job_failed{user="b"} 1'
echo "as described"
