"""The report's JSON Schema, against which every report is held that a test looks at."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMA = Path(__file__).resolve().parents[1] / "launcher" / "report.schema.json"


@cache
def validator() -> Draft202012Validator:
    """Return the schema as a validator, itself held against the schema of schemas."""
    schema: dict[str, Any] = json.loads(SCHEMA.read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def validated(document: dict[str, Any]) -> dict[str, Any]:
    """Return a report's *document*; fail where it is not as the schema has it."""
    validator().validate(document)
    return document
