"""Results in JSON: read by their schema, numbers to six digits, days without the hour."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any


def read(path: Path, schema: int) -> Any:
    """The result in a file.

    Raises:
        ValueError: the file is of another schema.
    """
    result = json.loads(path.read_text(encoding="utf-8"))
    if result.get("schema") != schema:
        raise ValueError(f"{path} has schema {result.get('schema')}, this program reads {schema}")
    return result


def rounded(value: Any) -> Any:
    """Numbers to six digits, everywhere inside."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: rounded(x) for key, x in value.items()}
    return [rounded(x) for x in value] if isinstance(value, list | tuple) else value


def day(moment: str) -> str:
    """The date of a moment in ISO form, as pages show it."""
    return datetime.fromisoformat(moment).date().isoformat()
