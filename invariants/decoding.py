"""Reads the tables of a TOML document and collects every problem instead of stopping at one.

Decoders on the registry (msgspec, tomllib's own users) stop at the first error of a document;
an operator wants all of them in one answer, each with its place in the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+(\[[0-9]+\])?")
_NAMES = {str: "a string", list: "an array", dict: "a table", bool: "true or false"}
MAX_DAYS = 1_000_000


class Table:
    """One table of the document: takes its keys one by one, noting what is wrong with each.

    *place* is the table's name in the file (``accounts[1]``), *problems* the list that all
    tables of a document share. A taker returns None where it noted a problem or where an
    optional key is absent.
    """

    def __init__(self, values: Mapping[str, Any], place: str, problems: list[str]) -> None:
        self._values = values
        self._place = place
        self._problems = problems
        self._known: set[str] = set()

    def place(self, key: str) -> str:
        """Return where *key* of this table stands in the file."""
        return f"{self._place}.{shown_key(key)}" if self._place else shown_key(key)

    def problem(self, key: str, text: str) -> None:
        """Note that *key* is wrong."""
        self._problems.append(f"{self.place(key)}: {text}")

    def is_wrong(self, key: str) -> bool:
        """Tell whether a problem with *key* has been noted already."""
        return any(text.startswith(self.place(key)) for text in self._problems)

    def __contains__(self, key: str) -> bool:
        self._known.add(key)  # what is asked for is known, whether or not it is there
        return key in self._values

    def text(self, key: str, *, required: bool = False) -> str | None:
        """Take a string that is not empty and holds no control character."""
        value = self._take(key, str, required)
        if value is None:
            return None
        if not value:
            self.problem(key, "must not be empty")
        elif not value.isprintable():
            self.problem(key, f"holds a character that cannot be printed: {value!a}")
        else:
            return str(value)
        return None

    def seconds(self, key: str, *, at_most: float, zero: bool = False) -> float | None:
        """Take a number of seconds above zero (or from zero on) and up to *at_most*."""
        if key not in self._values:
            self._known.add(key)
            return None
        value = self._values[key]
        self._known.add(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.problem(key, f"must be a number of seconds, not {kind(value)}")
        elif not (0 < value <= at_most or (zero and value == 0)):
            least = "from 0" if zero else "above 0"
            # str() of an int takes 4,300 digits, and a hexadecimal number can have more.
            long = isinstance(value, int) and value.bit_length() > 64
            said = "a number of more than 64 bits" if long else value
            self.problem(key, f"must be {least} and at most {at_most:g} seconds, not {said}")
        else:
            return float(value)
        return None

    def raw(self, key: str) -> object:
        """Take whatever stands at *key*; None for nothing."""
        self._known.add(key)
        return self._values.get(key)

    def texts(
        self, key: str, *, required: bool = False, empty: bool = False
    ) -> tuple[str, ...] | None:
        """Take an array of strings that has at least one, unless it may be *empty*."""
        values = self._take(key, list, required)
        if values is None:
            return None
        if not values and not empty:
            self.problem(key, "must not be empty")
            return None
        wrong = False
        for index, value in enumerate(values):
            if not isinstance(value, str):
                self.problem(f"{key}[{index}]", f"must be a string, not {kind(value)}")
                wrong = True
            elif "\0" in value:
                self.problem(f"{key}[{index}]", "holds a NUL character")
                wrong = True
        return None if wrong else tuple(values)

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Take true or false; an absent one is *default*."""
        value = self._take(key, bool, False)
        return default if value is None else bool(value)

    def days(self, key: str) -> int | None:
        """Take a whole number of days above zero."""
        self._known.add(key)
        if key not in self._values:
            return None
        value = self._values[key]
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.problem(key, f"must be a number of days, not {kind(value)}")
        elif isinstance(value, float) or not 0 < value <= MAX_DAYS:
            self.problem(key, f"must be a whole number of days from 1 to {MAX_DAYS}")
        else:
            return value
        return None

    def table(self, key: str) -> Table:
        """Take a table; an absent one is empty."""
        return Table(self._take(key, dict, False) or {}, self.place(key), self._problems)

    def tables(self, key: str) -> list[Table]:
        """Take an array of tables (``[[key]]``); an absent one is empty."""
        if isinstance(self._values.get(key), dict):
            self._known.add(key)
            self.problem(key, f"must be an array of tables: write [[{key}]], not [{key}]")
            return []
        tables = []
        for index, value in enumerate(self._take(key, list, False) or []):
            if isinstance(value, dict):
                tables.append(Table(value, self.place(f"{key}[{index}]"), self._problems))
            else:
                self.problem(f"{key}[{index}]", f"must be a table, not {kind(value)}")
        return tables

    def beside(self, values: Mapping[str, Any]) -> Table:
        """Return other *values* as a table at the same place, say an array's elements."""
        return Table(values, self._place, self._problems)

    def names(self) -> list[str]:
        """Take every key, for a table whose keys are names of the user's."""
        self._known.update(self._values)
        return list(self._values)

    def refuse_unknown(self) -> None:
        """Note every key that nobody took, with the known one that it resembles."""
        for key in self._values:
            if key not in self._known:
                self.problem(key, f"unknown key{near(key, self._known)}")

    def _take(self, key: str, wanted: type, required: bool) -> Any:
        self._known.add(key)
        if key not in self._values:
            if required:
                self.problem(key, "is missing")
            return None
        value = self._values[key]
        if not isinstance(value, wanted):
            self.problem(key, f"must be {_NAMES[wanted]}, not {kind(value)}")
            return None
        return value


def kind(value: object) -> str:
    """Name a TOML value's type as its user would: ``a string``, ``a number``."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "a number"
    return _NAMES.get(type(value), "a date or time")


def shown_key(key: str) -> str:
    """Return a key as the file spells it: bare where it may be, else quoted.

    >>> shown_key("file-history"), shown_key("command[0]"), shown_key("my.link")
    ('file-history', 'command[0]', "'my.link'")
    """
    return key if _BARE.fullmatch(key) else ascii(key)


def near(key: str, known: set[str]) -> str:
    """Return the end of a problem: which of *known* an unknown *key* resembles, or all."""
    from difflib import get_close_matches  # costs 5 ms, and only a wrong file needs it

    matches = get_close_matches(key, sorted(known), n=1)
    return f"; did you mean {matches[0]}?" if matches else f"; known are {', '.join(sorted(known))}"
