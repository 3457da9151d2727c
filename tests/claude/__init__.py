"""The real Claude Code CLI, against a stub of the Messages API. See ``make claude``."""
