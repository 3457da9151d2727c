"""Loads the invariants' plugin: the option, and accounts, links and sessions as parameters."""

pytest_plugins = ["invariants.plugin"]
