"""Sessions as the backends keep them: real tmux servers and real processes, one VM each."""
