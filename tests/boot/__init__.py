"""Scenarios on a Debian that boots with a systemd of its own."""
