"""The schemas of the JSON that commands write, closed: a field that a schema does not know fails a test."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

SCHEMAS = {Path(str(file)).stem: file for file in files("archcalc").joinpath("schemas").iterdir()}


def open_schema(name: str) -> Any:
    """As it is published: users' programs may meet fields that are newer."""
    return json.loads(SCHEMAS[name].read_text())


def schema(name: str) -> Any:
    """Closed."""
    return _closed(open_schema(name))


def _closed(part: Any) -> Any:
    if isinstance(part, dict):
        closed = {"additionalProperties": False} if "properties" in part else {}
        return closed | {key: _closed(value) for key, value in part.items()}
    return list(map(_closed, part)) if isinstance(part, list) else part
