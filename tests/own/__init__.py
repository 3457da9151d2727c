"""Tests of own invariants."""
