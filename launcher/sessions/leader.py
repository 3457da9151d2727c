"""What leads a session's unit: a shell that runs its tmux server, and then ends as the session did.

So systemd knows the session's exit status or signal, and the unit fails where the session did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_SERVE = """\
words=$1; shift
echo "its terminal: $*" >&2
(umask 077; : > "$words")
told=$("$@" & server=$!
    (trap 'kill "$!"; wait; exit' TERM
    while sleep 2 & wait "$!"; do kill -CHLD "$server" || exit; done
    ) >/dev/null 2>&1 & poke=$!
    wait "$server"; code=$?; kill "$poke"; wait "$poke"; exit "$code"); code=$?
case $told in *:*)
    code=${told%%:*}
    last=$(printf '%s\\n' "${told#*:}" | grep -v -e '^$' -e '^Pane is dead (')
    printf '%s\\n' "$last" > "$words"
    [ -z "$last" ] || printf '%s\\n' "$last" >&2
esac
case $code in
-1|-2|-13|-15) code=$((128 - code)) ;;
-*) ulimit -c 0; kill "$code" $$ ;;
esac
exit "$code"
"""
"""The shell's script. The server's output is what :data:`TOLD` says.

The journal learns at the first line whose it is, and all others are printed by the same process:
of one that has ended by then it could not.
Debian's tmux forgets a session that ends while it takes note of the closed terminal (libutempter
sets SIGCHLD to its default meanwhile): so it is told to look for ended children every two seconds.
Nothing of that is left when the shell ends: a user's manager keeps a unit whose processes end
later.
Of the signals that systemd takes for a clean end only the shell's code is left, 128 and the number.
"""

TOLD = (
    "{ printf '%s:' '#{?pane_dead_signal,-#{pane_dead_signal},#{pane_dead_status}}'; "
    "tmux -S '#{socket_path}' capture-pane -p -S -9 -t '#{pane_id}'; } > /proc/#{pid}/fd/1"
)
"""The shell's line that tells the leader how its session ended, and what it said last."""


def leader_argv(server: Sequence[str], environment: Mapping[str, str], words: str) -> list[str]:
    """Return the command of a unit that runs *server* with exactly *environment*.

    What the session said last goes to the journal, and to the file *words*.
    """
    variables = [f"{name}={value}" for name, value in environment.items()]
    serve = ["/bin/sh", "-c", _SERVE, "claude-failover", words, *server]
    return [_unexpanded(word) for word in ("/usr/bin/env", "-i", *variables, *serve)]


def one_argument(text: str) -> str:
    r"""Return *text* as one word of a command that systemd-run splits into words.

    >>> print(one_argument('say "$HOME"'))
    "say \"$$HOME\""
    """
    return '"' + _unexpanded(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unexpanded(word: str) -> str:
    """Return *word* for a command of systemd's, which expands what stands behind a dollar."""
    return word.replace("$", "$$")
