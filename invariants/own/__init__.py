"""The operator's own invariants: pytest files of theirs, read, held to rules, and judged.

The set of checks that must run comes from what their files say (:mod:`invariants.own.reading`)
and from the inventory (:mod:`invariants.own.cases`), before any of their code is executed.
"""
