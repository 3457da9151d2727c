"""Tests of ``adopt``."""
