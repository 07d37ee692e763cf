"""The page: `page.html` and `page.js` with the run's record put in. Every figure on it comes from that record."""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def rounded(value: Any) -> Any:
    """Floats to six digits: more than a drawing shows, and a page a third of the size."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: rounded(x) for key, x in value.items()}
    return [rounded(x) for x in value] if isinstance(value, list | tuple) else value


def html(result: dict[str, Any]) -> str:
    """One file that needs no network."""
    record = json.dumps(rounded(result), separators=(",", ":")).replace("</", "<\\/")
    script = (HERE / "page.js").read_text(encoding="utf-8")
    template = (HERE / "page.html").read_text(encoding="utf-8")
    return template.replace("{{SCRIPT}}", script).replace("{{RECORD}}", record)
