"""Mishaps that were seen in the field: what the launcher says to each, and a healthy twin of each.

One file is one mishap. ``PUBLIC`` in it names the public reports that it was made from.
"""
