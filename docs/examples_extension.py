"""griffe extension: our docstrings head a single example `Example:`, griffe knows `Examples:`."""

import re
from typing import Any

import griffe


class Examples(griffe.Extension):
    """Renames the heading, so that doctests are shown as code."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Of every module, class, function and attribute."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"^(\s*)Example:$", r"\1Examples:", obj.docstring.value, flags=re.MULTILINE)
