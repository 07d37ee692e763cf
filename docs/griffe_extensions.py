"""griffe extensions: what it does not know of our sources."""

import re
from typing import Any

import griffe

FIELDS = {"hyper", "option", "policy", "flag"}
"""Functions of `deva_core` that make a dataclass field; a call begins with the default."""


class Examples(griffe.Extension):
    """Our docstrings head a single example `Example:`, griffe knows `Examples:`. Renamed, doctests are shown as code."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Of every module, class, function and attribute."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"^(\s*)Example:$", r"\1Examples:", obj.docstring.value, flags=re.MULTILINE)


class Defaults(griffe.Extension):
    """A hyperparameter is shown with its default, `0.02`, and not with the call that makes the field, `hyper(0.02, ge=0)`."""

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """Before griffe makes a dataclass' parameters of its attributes."""
        call = attr.value
        if isinstance(call, griffe.ExprCall) and str(call.function) in FIELDS:
            attr.value = call.arguments[0]
