"""The values of a report's document, each of its one type. All raise TypeError for another."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def text(value: object) -> str:
    """Return *value*, a text."""
    if not isinstance(value, str):
        raise TypeError(f"not a text: {value!r}")
    return value


def text_or_none(value: object) -> str | None:
    """Return *value*, a text or None."""
    return None if value is None else text(value)


def number(value: object) -> float:
    """Return *value*, a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"not a number: {value!r}")
    return value


def count(value: object) -> int:
    """Return *value*, a whole number that is not below 0."""
    if type(value) is not int or value < 0:  # True is 1, too
        raise TypeError(f"not a count: {value!r}")
    return value


def array(value: object) -> list[Any]:
    """Return *value*, an array."""
    if not isinstance(value, list):
        raise TypeError(f"not an array: {value!r}")
    return value


def table(value: object) -> Mapping[str, Any]:
    """Return *value*, an object of JSON."""
    if not isinstance(value, dict):
        raise TypeError(f"not an object: {value!r}")
    return value
